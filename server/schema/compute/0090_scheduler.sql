-- What the scheduler knows of a host beside its description: builds that failed one after the other. A build that
-- succeeds begins anew.
alter table compute.host add column failed_builds integer not null default 0 check (failed_builds >= 0);
-- Servers that something is being done with, by host: what Nova calls its I/O operations.
create index server_busy on compute.server (host) where deleted_at is null and task_state is not null;
