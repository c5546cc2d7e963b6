-- What works for the network on each host, as the process that works there reports it.
create table network.agent (
  id uuid primary key,
  host text not null,
  binary_name text not null,
  description text not null default '',
  -- What its engine says is wrong.
  problem text,
  created_at timestamptz not null default now(),
  started_at timestamptz not null default now(),
  heartbeat_at timestamptz not null default now()
);
