-- What lists of a project are sorted by.
create index volume_of_project_by_zone on block_storage.volume (project_id, availability_zone, created_at, id);
create index volume_of_project_by_bootable on block_storage.volume (project_id, is_bootable, created_at, id);
create index snapshot_of_project_by_size on block_storage.snapshot (project_id, size_gib, created_at, id);
create index snapshot_of_project_by_change on block_storage.snapshot (project_id, updated_at, id);
create index snapshot_by_change on block_storage.snapshot (updated_at, id);
create index transfer_of_project_by_name on block_storage.transfer (project_id, name, created_at, id);
