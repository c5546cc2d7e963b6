-- Where the data of backups lie. A row is there before the first object is written, and goes after the last one, so
-- that nothing of ours is forgotten and nothing that no row knows is touched.
create table block_storage.backup_data (
  id uuid primary key,
  container text not null,
  -- Its list of chunks is written: nothing is added any more.
  is_whole boolean not null default false,
  -- Of its own: those of the backups that it stands on are theirs.
  object_count bigint not null default 0,
  -- No backup has it any more.
  going_since timestamptz(3),
  -- Removed once already; a host that did not know may have written since.
  removed_at timestamptz(3),
  created_at timestamptz(3) not null default now()
);
create index backup_data_going on block_storage.backup_data (going_since) where going_since is not null;

create table block_storage.backup (
  id uuid primary key,
  project_id text not null,
  user_id text not null,
  name text,
  description text,
  -- What it was made of; that may be gone long since.
  volume_id uuid not null,
  snapshot_id uuid,
  -- Only what differs from this one is in its own data.
  parent_id uuid references block_storage.backup (id),
  -- Backups of the same data: one of them was imported.
  data_id uuid references block_storage.backup_data (id),
  size_gib integer not null check (size_gib > 0),
  status text not null,
  generation bigint not null default 1,
  container text not null,
  availability_zone text not null,
  metadata jsonb not null default '{}',
  -- What a volume made from it is to be like.
  volume_facts jsonb not null default '{}',
  data_at timestamptz(3) not null,
  -- For users: why the last task failed.
  problem text,
  created_at timestamptz(3) not null default now(),
  updated_at timestamptz(3)
);
create index backup_of_project on block_storage.backup (project_id, created_at, id);
create index backup_by_time on block_storage.backup (created_at, id);
create index backup_of_project_by_name on block_storage.backup (project_id, name, created_at, id);
create index backup_by_name on block_storage.backup (name, created_at, id);
create index backup_of_project_by_status on block_storage.backup (project_id, status, created_at, id);
create index backup_by_status on block_storage.backup (status, created_at, id);
create index backup_of_project_by_size on block_storage.backup (project_id, size_gib, created_at, id);
create index backup_by_size on block_storage.backup (size_gib, created_at, id);
create index backup_of_project_by_change on block_storage.backup (project_id, updated_at, id);
create index backup_by_change on block_storage.backup (updated_at, id);
create index backup_of_volume on block_storage.backup (volume_id, created_at, id);
create index backup_of_snapshot on block_storage.backup (snapshot_id, created_at, id);
create index backup_of_parent on block_storage.backup (parent_id) where parent_id is not null;
create index backup_of_data on block_storage.backup (data_id);

alter table block_storage.message drop constraint message_resource_type_check;
alter table block_storage.message add constraint message_resource_type_check
  check (resource_type in ('VOLUME', 'SNAPSHOT', 'VOLUME_BACKUP'));
