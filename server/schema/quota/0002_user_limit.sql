-- Limits of single users within their project's, for every service that has any. Nearly nobody has one.
create table quota.user_limit (
  project_id text not null,
  user_id text not null,
  service text not null,
  resource text not null,
  -- -1 is unlimited
  value bigint not null check (value >= -1),
  updated_at timestamptz not null default now(),
  primary key (project_id, service, user_id, resource)
);

-- Compute kept its own before. Its migrations are older and come first; from here on the table is gone.
insert into quota.user_limit (project_id, user_id, service, resource, value, updated_at)
  select project_id, user_id, 'compute', resource, value, updated_at from compute.user_quota;
drop table compute.user_quota;
