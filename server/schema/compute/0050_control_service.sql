-- What works for all hosts and not on one of them: Nova's scheduler and conductor. A row each for every process of ours
-- that does this work; it says so every few seconds.
create table compute.control_service (
  host text not null,
  -- `nova-scheduler` or `nova-conductor`: clients ask for these names.
  binary_name text not null,
  id uuid not null,
  -- Clients before 2.53 ask by number, among those of compute.host as well: these begin far above them.
  number bigint generated always as identity (start with 1000000) not null,
  last_seen_at timestamptz(3) not null default now(),
  created_at timestamptz(3) not null default now(),
  constraint control_service_pkey primary key (host, binary_name),
  constraint control_service_id unique (id),
  constraint control_service_number unique (number)
);
