-- What administrators look for in the whole cloud. Who lists one project has few rows, and finds them by the project.
create index volume_of_user on block_storage.volume (user_id, created_at, id);
create index volume_of_snapshot on block_storage.volume (snapshot_id, created_at, id) where snapshot_id is not null;
create index volume_of_volume on block_storage.volume (source_volume_id, created_at, id)
  where source_volume_id is not null;
create index volume_by_migration on block_storage.volume (migration_status, created_at, id)
  where migration_status is not null;
create index volume_by_description on block_storage.volume (description, created_at, id)
  where description is not null;
create index volume_of_zone on block_storage.volume (availability_zone, created_at, id);
create index volume_by_bootable on block_storage.volume (is_bootable, created_at, id);
create index volume_with_image_metadata on block_storage.volume using gin (image_metadata jsonb_path_ops)
  where image_metadata is not null;

create index snapshot_of_user on block_storage.snapshot (user_id, created_at, id);
create index snapshot_by_size on block_storage.snapshot (size_gib, created_at, id);
create index snapshot_by_description on block_storage.snapshot (description, created_at, id)
  where description is not null;
create index snapshot_with_metadata on block_storage.snapshot using gin (metadata jsonb_path_ops);

create index backup_of_user on block_storage.backup (user_id, created_at, id);
create index backup_by_description on block_storage.backup (description, created_at, id)
  where description is not null;
create index backup_of_container on block_storage.backup (container, created_at, id);
create index backup_of_zone on block_storage.backup (availability_zone, created_at, id);

create index volume_group_of_user on block_storage.volume_group (user_id, created_at, id);
create index volume_group_by_description on block_storage.volume_group (description, created_at, id)
  where description is not null;
create index volume_group_of_zone on block_storage.volume_group (availability_zone, created_at, id);
create index volume_group_of_snapshot on block_storage.volume_group (group_snapshot_id, created_at, id)
  where group_snapshot_id is not null;
create index volume_group_of_group on block_storage.volume_group (source_group_id, created_at, id)
  where source_group_id is not null;

create index group_snapshot_of_user on block_storage.group_snapshot (user_id, created_at, id);
create index group_snapshot_by_description on block_storage.group_snapshot (description, created_at, id)
  where description is not null;

create index transfer_by_name on block_storage.transfer (name, created_at, id);
