-- Flavors: sizes that servers are made in. A server keeps a copy of its flavor, so that deleting one changes nothing.
create table compute.flavor (
  id uuid primary key,
  flavor_id text not null,
  name text not null,
  description text,
  vcpus integer not null check (vcpus > 0),
  ram_mib integer not null check (ram_mib >= 0),
  disk_gib integer not null check (disk_gib >= 0),
  ephemeral_gib integer not null default 0 check (ephemeral_gib >= 0),
  swap_mib integer not null default 0 check (swap_mib >= 0),
  rxtx_factor real not null default 1,
  is_public boolean not null default true,
  is_disabled boolean not null default false,
  extra_specs jsonb not null default '{}',
  created_at timestamptz not null default now(),
  updated_at timestamptz,
  constraint flavor_flavor_id_key unique (flavor_id),
  constraint flavor_name_key unique (name)
);

-- Projects that may use a flavor that is not public.
create table compute.flavor_access (
  flavor_id uuid not null references compute.flavor (id) on delete cascade,
  project_id text not null,
  primary key (flavor_id, project_id)
);
create index flavor_access_project on compute.flavor_access (project_id);

create table compute.keypair (
  id bigint generated always as identity primary key,
  user_id text not null,
  name text not null,
  type text not null check (type in ('ssh', 'x509')),
  public_key text not null,
  fingerprint text not null,
  created_at timestamptz not null default now(),
  constraint keypair_user_name_key unique (user_id, name)
);
