-- Host aggregates: named sets of hosts. One with `availability_zone` in its metadata is what makes a zone.
create table compute.aggregate (
  id bigint generated always as identity primary key,
  uuid uuid not null unique,
  name text not null,
  metadata jsonb not null default '{}',
  created_at timestamptz(3) not null default now(),
  -- Of the last change of name or metadata; null before the first one.
  updated_at timestamptz(3),
  constraint aggregate_name_key unique (name)
);

create table compute.aggregate_host (
  aggregate_id bigint not null references compute.aggregate (id),
  host text not null,
  added_at timestamptz(3) not null default now(),
  constraint aggregate_host_key primary key (aggregate_id, host)
);
-- The zones of all hosts are asked for with every placement.
create index aggregate_host_host on compute.aggregate_host (host);

-- Server groups. Their members are the servers that name them (compute.server.server_group_id).
create table compute.server_group (
  id uuid primary key,
  project_id text not null,
  user_id text not null,
  name text not null,
  policy text not null check (policy in ('affinity', 'anti-affinity', 'soft-affinity', 'soft-anti-affinity')),
  -- Only with anti-affinity; null is one.
  max_servers_per_host integer check (max_servers_per_host > 0),
  created_at timestamptz not null default now()
);
create index server_group_project on compute.server_group (project_id, created_at, id);
create index server_group_all on compute.server_group (created_at, id);

-- Reports of usage are paged in this order, deleted servers with them.
create index server_usage on compute.server (project_id, id) where launched_at is not null;
