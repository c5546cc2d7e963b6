-- Servers go to other hosts while they run, too.
alter table compute.migration drop constraint migration_type_check;
alter table compute.migration add constraint migration_type_check
  check (type in ('resize', 'migration', 'live-migration'));
