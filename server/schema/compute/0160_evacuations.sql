-- Servers go away from hosts that are down, too.
alter table compute.migration drop constraint migration_type_check;
alter table compute.migration add constraint migration_type_check
  check (type in ('resize', 'migration', 'live-migration', 'evacuation'));
-- Those of which something may be left on the host before.
create index migration_open_evacuation on compute.migration (source_host, server_id)
  where type = 'evacuation' and status in ('accepted', 'pre-migrating', 'done', 'failed');
