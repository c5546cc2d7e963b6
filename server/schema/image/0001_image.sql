-- Images: what is known of them. Their data are files of the store, named after the id.
create schema image;

create table image.image (
  id uuid primary key,
  -- Null: owned by nobody; only administrators may change it.
  project_id text,
  name text check (length(name) <= 255),
  status text not null check (status in
    ('queued', 'saving', 'uploading', 'importing', 'active', 'deactivated', 'killed', 'pending_delete')),
  visibility text not null check (visibility in ('public', 'community', 'shared', 'private')),
  disk_format text,
  container_format text,
  size_bytes bigint,
  virtual_size_bytes bigint,
  min_disk_gib integer not null default 0 check (min_disk_gib >= 0),
  min_ram_mib integer not null default 0 check (min_ram_mib >= 0),
  is_protected boolean not null default false,
  is_hidden boolean not null default false,
  checksum text,
  os_hash_algo text,
  os_hash_value text,
  properties jsonb not null default '{}',
  tags text[] not null default '{}',
  -- Why no machine may boot it although its data are there; null when nothing is wrong.
  content_problem text,
  -- Names of files in the store and in the staging area. Every transfer writes its own, so a late one harms nobody.
  data_file text,
  staged_file text,
  -- The transfer that writes its data now; a late writer finds another value here and gives up.
  transfer_id uuid,
  transfer_host text,
  transfer_process jsonb,
  -- Renewed while the transfer lives; an old one is a dead transfer.
  transfer_seen_at timestamptz,
  generation bigint not null default 0,
  created_at timestamptz not null,
  updated_at timestamptz not null
);
-- `nulls first` so that reading it backwards gives the order of a page: descending, nulls last.
create index image_list on image.image (created_at nulls first, id nulls first);
create index image_project on image.image (project_id, created_at nulls first, id nulls first);
create index image_name on image.image (name);
create index image_checksum on image.image (checksum) where checksum is not null;
create index image_transfer on image.image (status) where status in ('saving', 'uploading', 'importing');
create index image_tags on image.image using gin (tags);
create index image_properties on image.image using gin (properties jsonb_path_ops);

create table image.member (
  image_id uuid not null references image.image (id) on delete cascade,
  -- The project that the image is shared with.
  member_id text not null,
  status text not null check (status in ('pending', 'accepted', 'rejected')),
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (image_id, member_id)
);
create index member_project on image.member (member_id, status);

create table image.task (
  id uuid primary key,
  type text not null check (type in ('import', 'api_image_import', 'location_import')),
  status text not null check (status in ('pending', 'processing', 'success', 'failure')),
  project_id text,
  user_id text,
  request_id text,
  image_id uuid,
  input jsonb not null,
  result jsonb,
  message text not null default '',
  generation bigint not null default 0,
  expires_at timestamptz,
  created_at timestamptz not null,
  updated_at timestamptz not null
);
create index task_list on image.task (created_at nulls first, id nulls first);
create index task_project on image.task (project_id, created_at nulls first, id nulls first);
create index task_image on image.task (image_id, created_at) where image_id is not null;
create index task_expires on image.task (expires_at) where expires_at is not null;
