-- Migrations are listed newest first, by number, whatever they are filtered by.
drop index compute.migration_list;
drop index compute.migration_project;
create index migration_project on compute.migration (project_id, number);
create index migration_user on compute.migration (user_id, number);
create index migration_server on compute.migration (server_id, number);
create index migration_status on compute.migration (status, number);
create index migration_type on compute.migration (type, number);
create index migration_source_host on compute.migration (source_host, number);
create index migration_dest_host on compute.migration (dest_host, number);
create index migration_changed on compute.migration (coalesce(updated_at, created_at));
