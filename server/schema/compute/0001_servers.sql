-- Servers, what was done to them, and the hosts that run them.
-- Times have milliseconds, as the program has: a page that starts after a marker must not lose what lies between.
create schema compute;

-- The number in instance-%08x.
create sequence compute.server_number;

create table compute.server (
  id uuid primary key,
  number bigint not null default nextval('compute.server_number'),
  project_id text not null,
  user_id text not null,
  -- Rises with every task that is claimed; goes to the agent with every command.
  generation bigint not null default 1,
  -- The generation of the last task that ended well: a step that is run again after its end does nothing.
  finished_generation bigint not null default 0,
  name text not null,
  description text,
  hostname text not null,

  -- As Nova has them: what it is, what is being done to it, what the hypervisor last said.
  vm_state text not null,
  task_state text,
  power_state int not null default 0,
  progress int not null default 0,
  -- { code, message, details, createdAt }
  fault jsonb,

  host text,
  -- Zone of the host; what the user asked for is apart, as it binds later moves too.
  availability_zone text,
  pinned_availability_zone text,

  -- null: made of a volume
  image_id uuid,
  -- The flavor as it was when the server took it; the flavor itself may be deleted.
  flavor jsonb not null,
  flavor_id text not null,
  -- The other size of a resize that is not confirmed, with its host: { flavor, host, powerState }
  old_flavor jsonb,
  old_host text,
  vcpus int not null,
  ram_mib int not null,

  metadata jsonb not null default '{}',
  -- Image properties at boot, base image and the like.
  system_metadata jsonb not null default '{}',
  tags text[] not null default '{}',
  key_name text,
  key_type text,
  public_key text,
  user_data text,
  has_config_drive boolean not null default false,
  has_auto_disk_config boolean not null default false,
  root_device_name text,
  kernel_id text,
  ramdisk_id text,
  access_ip_v4 text,
  access_ip_v6 text,
  -- Names or ids of security groups, and the networks, as asked for at creation.
  security_groups jsonb not null default '[]',
  requested_networks jsonb,
  scheduler_hints jsonb not null default '{}',
  server_group_id uuid,
  trusted_image_certificates jsonb,
  block_devices jsonb not null default '[]',

  reservation_id text not null,
  launch_index int not null default 0,
  -- owner | admin
  locked_by text,
  locked_reason text,

  created_at timestamptz(3) not null default now(),
  updated_at timestamptz(3) not null default now(),
  launched_at timestamptz(3),
  terminated_at timestamptz(3),
  -- A deleted server stays for `deleted` and `changes-since` lists and so that its late messages are known as such.
  deleted_at timestamptz(3)
);

create unique index server_number_key on compute.server (number);
-- Every list of a project is in this order.
create index server_project on compute.server (project_id, created_at desc, id desc) where deleted_at is null;
create index server_all on compute.server (created_at desc, id desc) where deleted_at is null;
create index server_host on compute.server (host) where deleted_at is null;
create index server_updated on compute.server (project_id, updated_at);
create index server_reservation on compute.server (reservation_id);
create index server_image on compute.server (image_id) where deleted_at is null;
create index server_flavor on compute.server (flavor_id) where deleted_at is null;
create index server_of_group on compute.server (server_group_id) where deleted_at is null;
create index server_tags on compute.server using gin (tags) where deleted_at is null;
create index server_task on compute.server (task_state) where task_state is not null;

-- What users did to a server: os-instance-actions.
create table compute.server_action (
  id bigint generated always as identity primary key,
  server_id uuid not null references compute.server (id) on delete cascade,
  action text not null,
  request_id text not null,
  user_id text,
  project_id text,
  message text,
  started_at timestamptz(3) not null default now(),
  finished_at timestamptz(3),
  updated_at timestamptz(3) not null default now()
);
create index server_action_server on compute.server_action (server_id, started_at desc, id desc);
create unique index server_action_request on compute.server_action (server_id, request_id, action);

create table compute.server_action_event (
  id bigint generated always as identity primary key,
  action_id bigint not null references compute.server_action (id) on delete cascade,
  event text not null,
  host text,
  started_at timestamptz(3) not null default now(),
  finished_at timestamptz(3),
  -- Success | Error
  result text,
  -- For users: why it failed.
  details text,
  -- For operators.
  traceback text
);
create unique index server_action_event_name on compute.server_action_event (action_id, event);

-- A host that runs machines: Nova's compute service and its hypervisor in one.
create table compute.host (
  name text primary key,
  -- The hypervisor's id, which is also the id of its resource provider.
  id uuid not null,
  service_id uuid not null,
  number bigint generated always as identity,
  -- HostDescription of the agent's last report
  description jsonb not null,
  last_seen_at timestamptz(3) not null,
  is_disabled boolean not null default false,
  disabled_reason text,
  is_forced_down boolean not null default false,
  created_at timestamptz(3) not null default now(),
  updated_at timestamptz(3) not null default now()
);
create unique index host_id on compute.host (id);
create unique index host_service_id on compute.host (service_id);
create unique index host_number on compute.host (number);
