-- What a server has of volumes, and what it was asked to be made with: one row a volume. Disks that are made of the
-- image and the flavor have none. Block storage knows the volume itself.
create table compute.block_device (
  id uuid primary key,
  server_id uuid not null references compute.server (id) on delete cascade,
  -- Null: it is to be made with the server.
  volume_id uuid,
  source_type text not null check (source_type in ('volume', 'image', 'snapshot', 'blank')),
  source_id uuid,
  -- What a volume that is to be made is to be; null: as its source says.
  size_gib integer,
  volume_type text,
  -- The only host on which it can be made.
  source_host text,
  boot_index integer,
  device_name text not null,
  delete_on_termination boolean not null default false,
  tag text,
  -- Block storage's name for the attachment; null: not reserved yet.
  attachment_id uuid,
  -- A machine is made with what is attaching or attached, and without what is detaching.
  state text not null check (state in ('attaching', 'attached', 'detaching')),
  created_at timestamptz(3) not null default now(),
  -- A volume is in one server, once.
  constraint block_device_volume_key unique (volume_id),
  constraint block_device_name_key unique (server_id, device_name)
);

-- Whether the server ever had a volume: of one that had none nobody asks.
alter table compute.server add column has_volumes boolean not null default false;
