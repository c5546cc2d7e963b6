-- A deleted server may be kept for a while, switched off, until somebody restores it or the while is over.
alter table compute.server add column soft_deleted_at timestamptz;
create index server_soft_deleted on compute.server (soft_deleted_at)
  where soft_deleted_at is not null and deleted_at is null;
