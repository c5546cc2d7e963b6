-- Servers go to other hosts, too. Which one is chosen after the row is there: empty until then.
alter table compute.migration drop constraint migration_type_check;
alter table compute.migration add constraint migration_type_check check (type in ('resize', 'migration'));
