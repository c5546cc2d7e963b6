-- Limits of single users within the limits of a project (os-quota-sets with user_id). Few have any.
create table compute.user_quota (
  project_id text not null,
  user_id text not null,
  resource text not null,
  -- -1 is unlimited
  value bigint not null check (value >= -1),
  updated_at timestamptz(3) not null default now(),
  constraint user_quota_key primary key (project_id, user_id, resource)
);
