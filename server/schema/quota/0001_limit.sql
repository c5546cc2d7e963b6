-- Limits by project. Usage is not stored: it is counted when it matters, under a lock of (project, service),
-- so that it cannot drift and two requests cannot both take the last place.
create schema quota;

create table quota."limit" (
  project_id text not null,
  service text not null,
  resource text not null,
  -- -1 is unlimited
  value bigint not null check (value >= -1),
  updated_at timestamptz not null default now(),
  primary key (project_id, service, resource)
);

-- Named sets of defaults (Nova's quota classes). The class `default` replaces what the configuration says.
create table quota.class_limit (
  class_name text not null,
  service text not null,
  resource text not null,
  value bigint not null check (value >= -1),
  updated_at timestamptz not null default now(),
  primary key (class_name, service, resource)
);
