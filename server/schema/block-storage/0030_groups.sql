-- A kind of group of volumes that users choose: what its back end must be able to do for all of them together.
create table block_storage.group_type (
  id uuid primary key,
  name text not null constraint group_type_name_key unique,
  description text,
  is_public boolean not null default true,
  group_specs jsonb not null default '{}',
  created_at timestamptz(3) not null default now(),
  updated_at timestamptz(3)
);
create index group_type_by_time on block_storage.group_type (created_at, id);

-- Volumes that are snapshotted and deleted together. All lie on one back end.
create table block_storage.volume_group (
  id uuid primary key,
  project_id text not null,
  user_id text not null,
  name text,
  description text,
  status text not null,
  -- Rises with every task; whoever works on an older one stops.
  generation bigint not null default 1,
  group_type_id uuid not null references block_storage.group_type (id),
  availability_zone text not null,
  -- Both or none: where its volumes lie.
  host text,
  backend text,
  -- What it was made from.
  group_snapshot_id uuid,
  source_group_id uuid,
  -- For users: why the last task failed.
  problem text,
  created_at timestamptz(3) not null default now(),
  updated_at timestamptz(3)
);
create index volume_group_of_project on block_storage.volume_group (project_id, created_at, id);
create index volume_group_by_time on block_storage.volume_group (created_at, id);
create index volume_group_of_project_by_name on block_storage.volume_group (project_id, name, created_at, id);
create index volume_group_by_name on block_storage.volume_group (name, created_at, id);
create index volume_group_of_project_by_status on block_storage.volume_group (project_id, status, created_at, id);
create index volume_group_by_status on block_storage.volume_group (status, created_at, id);
create index volume_group_of_type on block_storage.volume_group (group_type_id, created_at, id);

-- Of which types its volumes may be.
create table block_storage.group_volume_type (
  group_id uuid not null references block_storage.volume_group (id) on delete cascade,
  volume_type_id uuid not null references block_storage.volume_type (id),
  primary key (group_id, volume_type_id)
);
create index group_volume_type_type on block_storage.group_volume_type (volume_type_id);

-- Snapshots of all volumes of a group, taken together.
create table block_storage.group_snapshot (
  id uuid primary key,
  group_id uuid not null references block_storage.volume_group (id),
  project_id text not null,
  user_id text not null,
  name text,
  description text,
  status text not null,
  generation bigint not null default 1,
  -- The group's, when it was taken.
  group_type_id uuid not null references block_storage.group_type (id),
  problem text,
  created_at timestamptz(3) not null default now(),
  updated_at timestamptz(3)
);
create index group_snapshot_of_project on block_storage.group_snapshot (project_id, created_at, id);
create index group_snapshot_by_time on block_storage.group_snapshot (created_at, id);
create index group_snapshot_of_project_by_name on block_storage.group_snapshot (project_id, name, created_at, id);
create index group_snapshot_by_name on block_storage.group_snapshot (name, created_at, id);
create index group_snapshot_of_project_by_status on block_storage.group_snapshot (project_id, status, created_at, id);
create index group_snapshot_by_status on block_storage.group_snapshot (status, created_at, id);
create index group_snapshot_of_group on block_storage.group_snapshot (group_id, created_at, id);
create index group_snapshot_of_type on block_storage.group_snapshot (group_type_id);

alter table block_storage.volume add column group_id uuid references block_storage.volume_group (id);
create index volume_of_group on block_storage.volume (group_id, created_at, id) where group_id is not null;

alter table block_storage.snapshot add column group_snapshot_id uuid references block_storage.group_snapshot (id);
create index snapshot_of_group_snapshot on block_storage.snapshot (group_snapshot_id, created_at, id)
  where group_snapshot_id is not null;

-- Which things messages are about is said by the program.
alter table block_storage.message drop constraint if exists message_resource_type_check;
