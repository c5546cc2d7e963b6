-- Servers that somebody looks for in the whole cloud, in the order of lists: those of one user, those that are in other
-- states than most, the deleted ones.
create index server_user on compute.server (user_id, created_at desc, id desc) where deleted_at is null;
create index server_state on compute.server (vm_state, created_at desc, id desc)
  where deleted_at is null and vm_state <> 'active';
create index server_gone on compute.server (created_at desc, id desc) where deleted_at is not null;
create index server_gone_project on compute.server (project_id, created_at desc, id desc)
  where deleted_at is not null;
