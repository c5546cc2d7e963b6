create schema engine;

-- A long change of the world and how far it has come. `fence` rises with every new owner.
create table engine.saga (
  id uuid primary key,
  name text not null,
  version integer not null,
  params jsonb not null,
  state text not null check (state in ('running', 'unwinding', 'done', 'unwound', 'stuck')),
  resource_id text,
  request_id text not null,
  fence bigint not null,
  owner text,
  lease_until timestamptz,
  -- Not before: a retry waits here.
  run_at timestamptz not null default now(),
  -- Failed tries of the present node.
  attempts integer not null default 0,
  -- Why it unwinds; what users read.
  failure jsonb,
  last_error text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  ended_at timestamptz
);
create index saga_due on engine.saga (run_at) where state in ('running', 'unwinding');
create index saga_resource on engine.saga (resource_id, created_at);
create index saga_stuck on engine.saga (updated_at) where state = 'stuck';
create index saga_ended on engine.saga (ended_at) where ended_at is not null;

create table engine.saga_event (
  saga_id uuid not null references engine.saga (id) on delete cascade,
  node text not null,
  kind text not null
    check (kind in ('do_started', 'do_done', 'do_failed', 'undo_started', 'undo_done')),
  data jsonb,
  fence bigint not null,
  at timestamptz not null default now(),
  primary key (saga_id, node, kind)
);

-- What happened, for users and for other programs; written in the transaction that made it happen.
create table engine.outbox_event (
  id bigint generated always as identity primary key,
  -- Given when the event is seen committed, so that a reader who goes by it misses nothing (ids are given earlier).
  position bigint unique,
  message_id uuid not null,
  type text not null,
  publisher text not null,
  priority text not null check (priority in ('INFO', 'WARN', 'ERROR')),
  project_id text,
  user_id text,
  request_id text,
  resource_id text,
  payload jsonb not null,
  created_at timestamptz not null default now()
);
create index outbox_event_new on engine.outbox_event (id) where position is null;
create sequence engine.outbox_position_sequence;

-- How far the publisher has come. One row; its lock makes one publisher in the whole cloud.
create table engine.outbox_published (
  is_only boolean primary key default true check (is_only),
  position bigint not null,
  updated_at timestamptz not null default now()
);
insert into engine.outbox_published (position) values (0);

-- One run of a reconciler at a time in the whole cloud, and what the last run said.
create table engine.reconciler (
  name text primary key,
  owner text,
  fence bigint not null default 0,
  lease_until timestamptz,
  -- Somebody poked while a run went on: whoever ends that run begins another.
  is_poked boolean not null default false,
  started_at timestamptz,
  ended_at timestamptz,
  duration_ms integer,
  runs bigint not null default 0,
  status jsonb,
  error text
);
