-- Moves and changes of size: one row each, kept after the server is gone.
create table compute.migration (
  number bigint generated always as identity primary key,
  id uuid not null unique,
  server_id uuid not null,
  project_id text not null,
  user_id text not null,
  -- Generation of the server's row that the task has claimed.
  generation bigint not null,
  type text not null check (type in ('resize')),
  status text not null,
  source_host text not null,
  dest_host text not null,
  -- Numbers of the flavors; 0 for one that is deleted.
  old_flavor_number bigint not null,
  new_flavor_number bigint not null,
  created_at timestamptz(3) not null default now(),
  updated_at timestamptz(3),
  unique (server_id, generation)
);
create index migration_list on compute.migration (created_at, number);
create index migration_project on compute.migration (project_id, created_at, number);

-- Nova's own number of a flavor, which its list of migrations shows.
alter table compute.flavor add column number bigint generated always as identity;
