-- Live migrations that are under way or wait for their turn: those of one host are counted when another is to begin.
create index migration_open_live on compute.migration (source_host, number)
  where type = 'live-migration' and status in ('queued', 'preparing', 'running');
