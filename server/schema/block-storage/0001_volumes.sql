create schema block_storage;

-- A kind of volume that users choose: where it may lie, by what its back end must be able to do.
create table block_storage.volume_type (
  id uuid primary key,
  name text not null constraint volume_type_name_key unique,
  description text,
  is_public boolean not null default true,
  extra_specs jsonb not null default '{}',
  created_at timestamptz(3) not null default now(),
  updated_at timestamptz(3)
);
create index volume_type_by_time on block_storage.volume_type (created_at, id);

-- Projects that may use a type that is not public.
create table block_storage.volume_type_access (
  volume_type_id uuid not null references block_storage.volume_type (id) on delete cascade,
  project_id text not null,
  created_at timestamptz(3) not null default now(),
  primary key (volume_type_id, project_id)
);
create index volume_type_access_project on block_storage.volume_type_access (project_id);

-- What a project's volumes are of when nothing is said.
create table block_storage.default_type (
  project_id text primary key,
  volume_type_id uuid not null references block_storage.volume_type (id)
);
create index default_type_type on block_storage.default_type (volume_type_id);

-- A back end of a host, as the host reports it.
create table block_storage.pool (
  host text not null,
  backend text not null,
  -- As operators of Cinder name it.
  name text not null generated always as (host || '@' || backend) stored constraint pool_name_key unique,
  total_bytes bigint not null,
  free_bytes bigint not null,
  abilities jsonb not null,
  -- What is promised to volumes and snapshots: their sizes.
  promised_bytes bigint not null default 0,
  is_disabled boolean not null default false,
  disabled_reason text,
  reported_at timestamptz(3) not null,
  created_at timestamptz(3) not null default now(),
  primary key (host, backend)
);
create index pool_by_room on block_storage.pool (free_bytes desc, host, backend);

create table block_storage.volume (
  id uuid primary key,
  project_id text not null,
  user_id text not null,
  name text,
  description text,
  size_gib integer not null check (size_gib > 0),
  status text not null,
  -- What it was before the task that it is in.
  previous_status text,
  -- Rises with every task; whoever works on an older one stops.
  generation bigint not null default 1,
  volume_type_id uuid references block_storage.volume_type (id),
  availability_zone text not null,
  -- Both or none: where its data lie.
  host text,
  backend text,
  is_bootable boolean not null default false,
  -- Null: nobody has said so.
  is_read_only boolean,
  metadata jsonb not null default '{}',
  -- Of the image that it was made from; null: of none.
  image_metadata jsonb,
  image_id uuid,
  snapshot_id uuid,
  source_volume_id uuid,
  -- For users: why the last task failed.
  problem text,
  created_at timestamptz(3) not null default now(),
  updated_at timestamptz(3)
);
create index volume_of_project on block_storage.volume (project_id, created_at, id);
create index volume_by_time on block_storage.volume (created_at, id);
create index volume_of_project_by_name on block_storage.volume (project_id, name, created_at, id);
create index volume_by_name on block_storage.volume (name, created_at, id);
create index volume_of_project_by_status on block_storage.volume (project_id, status, created_at, id);
create index volume_by_status on block_storage.volume (status, created_at, id);
create index volume_of_project_by_size on block_storage.volume (project_id, size_gib, created_at, id);
create index volume_by_size on block_storage.volume (size_gib, created_at, id);
create index volume_of_project_by_change on block_storage.volume (project_id, updated_at, id);
create index volume_by_change on block_storage.volume (updated_at, id);
create index volume_of_type on block_storage.volume (volume_type_id, created_at, id);
create index volume_with_metadata on block_storage.volume using gin (metadata jsonb_path_ops);
create index volume_of_pool on block_storage.volume (host, created_at, id);
-- While it is made its source must stay.
create index volume_from_volume on block_storage.volume (source_volume_id) where status = 'creating';
create index volume_from_snapshot on block_storage.volume (snapshot_id) where status = 'creating';

create table block_storage.snapshot (
  id uuid primary key,
  volume_id uuid not null references block_storage.volume (id),
  project_id text not null,
  user_id text not null,
  name text,
  description text,
  size_gib integer not null,
  status text not null,
  generation bigint not null default 1,
  metadata jsonb not null default '{}',
  -- Where its data lie: where the volume's do.
  host text not null,
  backend text not null,
  -- Whether its size is among what is promised there.
  has_room boolean not null default false,
  -- As whoever makes it elsewhere says; null: by the status.
  progress text,
  problem text,
  created_at timestamptz(3) not null default now(),
  updated_at timestamptz(3)
);
create index snapshot_of_project on block_storage.snapshot (project_id, created_at, id);
create index snapshot_by_time on block_storage.snapshot (created_at, id);
create index snapshot_of_volume on block_storage.snapshot (volume_id, created_at, id);
create index snapshot_of_project_by_name on block_storage.snapshot (project_id, name, created_at, id);
create index snapshot_by_name on block_storage.snapshot (name, created_at, id);
create index snapshot_of_project_by_status on block_storage.snapshot (project_id, status, created_at, id);
create index snapshot_by_status on block_storage.snapshot (status, created_at, id);
create index snapshot_of_pool on block_storage.snapshot (host, created_at, id);

-- Who has a volume, or is about to.
create table block_storage.attachment (
  id uuid primary key,
  volume_id uuid not null constraint attachment_volume_key unique
    references block_storage.volume (id) on delete cascade,
  project_id text not null,
  -- A server of the compute service, as a rule; others may say what they like.
  server_id text,
  -- Set by the compute service alone: the volume is in that server's machine, or on its way there.
  is_of_server boolean not null default false,
  host text,
  device text,
  mode text not null default 'rw' check (mode in ('rw', 'ro')),
  status text not null check (status in ('reserved', 'attaching', 'attached', 'detaching')),
  connector jsonb,
  created_at timestamptz(3) not null default now(),
  attached_at timestamptz(3)
);
create index attachment_of_project on block_storage.attachment (project_id, created_at, id);
create index attachment_by_time on block_storage.attachment (created_at, id);
create index attachment_of_server on block_storage.attachment (server_id, created_at, id);

-- An offer of a volume to whoever knows the key.
create table block_storage.transfer (
  id uuid primary key,
  volume_id uuid not null constraint transfer_volume_key unique
    references block_storage.volume (id) on delete cascade,
  project_id text not null,
  name text not null,
  key_salt bytea not null,
  key_hash bytea not null,
  keeps_snapshots boolean not null default false,
  created_at timestamptz(3) not null default now()
);
create index transfer_of_project on block_storage.transfer (project_id, created_at, id);
create index transfer_by_time on block_storage.transfer (created_at, id);

-- Data of what is deleted, on a host that could not be reached then.
create table block_storage.leftover (
  volume_id uuid primary key,
  host text not null,
  backend text not null,
  generation bigint not null,
  created_at timestamptz(3) not null default now()
);
create index leftover_of_host on block_storage.leftover (host);

-- Why a task of a project's thing failed, for its users.
create table block_storage.message (
  id uuid primary key,
  project_id text not null,
  resource_type text not null check (resource_type in ('VOLUME', 'SNAPSHOT')),
  resource_id uuid not null,
  -- As Cinder counts them: what was tried, and what came in the way.
  event_id text not null,
  text text not null,
  request_id text not null,
  created_at timestamptz(3) not null default now(),
  expires_at timestamptz(3) not null
);
create index message_of_project on block_storage.message (project_id, created_at, id);
create index message_by_time on block_storage.message (created_at, id);
create index message_of_resource on block_storage.message (resource_id, created_at, id);
create index message_of_request on block_storage.message (request_id, created_at, id);
create index message_of_event on block_storage.message (event_id, created_at, id);
create index message_by_end on block_storage.message (expires_at);
