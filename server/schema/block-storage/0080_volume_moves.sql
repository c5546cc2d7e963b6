-- Volumes that are on their way to another back end.
alter table block_storage.volume
  -- In Cinder's words: starting, migrating, completing, success, error. Null: it has never been moved.
  add column migration_status text,
  -- Both or none: where it is going. There is room for it, and no other task takes it.
  add column target_host text,
  add column target_backend text,
  add constraint volume_target_whole check ((target_host is null) = (target_backend is null));
create index volume_to_pool on block_storage.volume (target_host, target_backend) where target_host is not null;

-- A volume may have left data with several hosts.
alter table block_storage.leftover drop constraint leftover_pkey, add primary key (volume_id, host);
