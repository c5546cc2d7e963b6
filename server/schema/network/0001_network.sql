-- Networks, subnets, ports, routers, floating IPs, security groups. The database decides what must never happen
-- twice: an address in a subnet, a MAC address in a network, overlapping subnets, a segment, a floating IP's target.
create extension if not exists btree_gist;
create schema network;

create table network.address_scope (
  id uuid primary key,
  project_id text not null,
  name text not null default '',
  ip_version smallint not null check (ip_version in (4, 6)),
  generation bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index address_scope_list on network.address_scope (project_id, created_at, id);

create table network.subnet_pool (
  id uuid primary key,
  project_id text not null,
  name text not null,
  description text not null default '',
  tags text[] not null default '{}',
  ip_version smallint not null check (ip_version in (4, 6)),
  -- Disjoint, merged and sorted.
  prefixes cidr[] not null,
  default_prefix_length smallint not null,
  min_prefix_length smallint not null,
  max_prefix_length smallint not null,
  -- Addresses (IPv4) or /64 networks (IPv6) that a project may take; null is unlimited.
  default_quota bigint,
  is_default boolean not null default false,
  address_scope_id uuid references network.address_scope (id),
  generation bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index subnet_pool_list on network.subnet_pool (project_id, created_at, id);
create unique index subnet_pool_one_default on network.subnet_pool (ip_version) where is_default;

create table network.network (
  id uuid primary key,
  project_id text not null,
  name text not null default '',
  description text not null default '',
  tags text[] not null default '{}',
  is_admin_up boolean not null default true,
  status text not null default 'ACTIVE' check (status in ('ACTIVE', 'DOWN', 'BUILD', 'ERROR')),
  is_external boolean not null default false,
  mtu integer not null,
  provider_type text not null check (provider_type in ('geneve', 'flat', 'vlan')),
  physical_network text,
  segmentation_id integer,
  is_port_security_enabled boolean not null default true,
  is_default boolean not null default false,
  dns_domain text not null default '',
  availability_zone_hints text[] not null default '{}',
  generation bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  check ((provider_type = 'geneve') = (physical_network is null)),
  check ((provider_type = 'flat') = (segmentation_id is null))
);
create index network_list on network.network (project_id, created_at, id);
create index network_by_creation on network.network (created_at, id);
create index network_external on network.network (id) where is_external;
create unique index network_tunnel on network.network (segmentation_id) where provider_type = 'geneve';
create unique index network_vlan on network.network (physical_network, segmentation_id) where provider_type = 'vlan';
create unique index network_flat on network.network (physical_network) where provider_type = 'flat';
create unique index network_one_default on network.network (is_default) where is_default;

create table network.subnet (
  id uuid primary key,
  network_id uuid not null references network.network (id),
  project_id text not null,
  name text not null default '',
  description text not null default '',
  tags text[] not null default '{}',
  ip_version smallint not null check (ip_version in (4, 6)),
  cidr cidr not null check (family(cidr) = ip_version),
  gateway_ip inet,
  is_dhcp_enabled boolean not null default true,
  ipv6_ra_mode text check (ipv6_ra_mode in ('slaac', 'dhcpv6-stateful', 'dhcpv6-stateless')),
  ipv6_address_mode text check (ipv6_address_mode in ('slaac', 'dhcpv6-stateful', 'dhcpv6-stateless')),
  dns_nameservers text[] not null default '{}',
  -- [{"destination": cidr, "nexthop": address}]
  host_routes jsonb not null default '[]',
  subnet_pool_id uuid references network.subnet_pool (id),
  service_types text[] not null default '{}',
  is_dns_published boolean not null default false,
  generation bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint subnet_cidr_overlap exclude using gist (network_id with =, cidr inet_ops with &&)
);
create index subnet_list on network.subnet (project_id, created_at, id);
create index subnet_by_network on network.subnet (network_id, created_at);
create index subnet_by_pool on network.subnet (subnet_pool_id) where subnet_pool_id is not null;

create table network.allocation_pool (
  subnet_id uuid not null references network.subnet (id) on delete cascade,
  first_address inet not null,
  last_address inet not null check (first_address <= last_address),
  primary key (subnet_id, first_address)
);

create table network.router (
  id uuid primary key,
  project_id text not null,
  name text not null default '',
  description text not null default '',
  tags text[] not null default '{}',
  is_admin_up boolean not null default true,
  status text not null default 'ACTIVE' check (status in ('ACTIVE', 'DOWN', 'ALLOCATING', 'ERROR')),
  is_snat_enabled boolean not null default true,
  -- [{"destination": cidr, "nexthop": address}]
  routes jsonb not null default '[]',
  availability_zone_hints text[] not null default '{}',
  generation bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index router_list on network.router (project_id, created_at, id);

create table network.port (
  id uuid primary key,
  network_id uuid not null references network.network (id),
  -- Empty for ports that belong to the cloud itself (router gateways, floating addresses).
  project_id text not null,
  name text not null default '',
  description text not null default '',
  tags text[] not null default '{}',
  is_admin_up boolean not null default true,
  status text not null default 'DOWN' check (status in ('ACTIVE', 'DOWN', 'BUILD', 'ERROR', 'N/A')),
  mac_address macaddr not null,
  device_id text not null default '',
  device_owner text not null default '',
  is_port_security_enabled boolean not null default true,
  host_id text not null default '',
  vnic_type text not null default 'normal',
  binding_profile jsonb not null default '{}',
  dns_name text not null default '',
  dns_domain text not null default '',
  -- [{"ipAddress": address or cidr, "macAddress": mac}]
  allowed_address_pairs jsonb not null default '[]',
  -- [{"name", "value", "ipVersion"}]
  extra_dhcp_options jsonb not null default '[]',
  is_uplink_status_propagated boolean not null default true,
  -- Set when compute asked for it: the place among the interfaces of its server, the tag, who made it.
  server_interface_index integer,
  server_interface_tag text,
  is_made_by_compute boolean not null default false,
  generation bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint port_mac_address unique (network_id, mac_address)
);
create index port_list on network.port (project_id, created_at, id);
create index port_by_creation on network.port (created_at, id);
create index port_by_device on network.port (device_id) where device_id <> '';
create index port_by_network on network.port (network_id, device_owner);
create index port_by_host on network.port (host_id) where host_id <> '';
create unique index port_of_server_interface on network.port (device_id, server_interface_index)
  where server_interface_index is not null;
create unique index port_one_gateway on network.port (device_id) where device_owner = 'network:router_gateway';
create unique index port_one_distributed on network.port (network_id) where device_owner = 'network:distributed';

create table network.ip_allocation (
  subnet_id uuid not null references network.subnet (id),
  address inet not null,
  network_id uuid not null references network.network (id),
  port_id uuid not null references network.port (id) on delete cascade,
  -- Place among the fixed IPs of the port.
  position integer not null default 0,
  -- A host, never a network: the mask is that of the whole address.
  check (masklen(address) = case family(address) when 4 then 32 else 128 end),
  primary key (subnet_id, address)
);
create index ip_allocation_by_port on network.ip_allocation (port_id, position);
create index ip_allocation_by_address on network.ip_allocation (network_id, address);

-- A router may have one interface on a subnet.
create table network.router_interface (
  router_id uuid not null references network.router (id),
  subnet_id uuid not null references network.subnet (id),
  port_id uuid not null references network.port (id) on delete cascade,
  primary key (router_id, subnet_id)
);
create index router_interface_by_port on network.router_interface (port_id);
create index router_interface_by_subnet on network.router_interface (subnet_id);

create table network.floating_ip (
  id uuid primary key,
  project_id text not null,
  description text not null default '',
  tags text[] not null default '{}',
  floating_network_id uuid not null references network.network (id),
  -- The port that holds the address on the external network.
  floating_port_id uuid not null unique references network.port (id),
  address inet not null,
  fixed_port_id uuid references network.port (id),
  fixed_ip_address inet,
  router_id uuid references network.router (id),
  status text not null default 'DOWN' check (status in ('ACTIVE', 'DOWN', 'ERROR')),
  dns_name text not null default '',
  dns_domain text not null default '',
  generation bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  check ((fixed_port_id is null) = (fixed_ip_address is null)),
  constraint floating_ip_address unique (floating_network_id, address),
  constraint floating_ip_target unique (floating_network_id, fixed_port_id, fixed_ip_address)
);
create index floating_ip_list on network.floating_ip (project_id, created_at, id);
create index floating_ip_by_port on network.floating_ip (fixed_port_id) where fixed_port_id is not null;
create index floating_ip_by_router on network.floating_ip (router_id) where router_id is not null;

create table network.security_group (
  id uuid primary key,
  project_id text not null,
  name text not null default '',
  description text not null default '',
  tags text[] not null default '{}',
  is_stateful boolean not null default true,
  is_default boolean not null default false,
  generation bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index security_group_list on network.security_group (project_id, created_at, id);
create unique index security_group_one_default on network.security_group (project_id) where is_default;

create table network.address_group (
  id uuid primary key,
  project_id text not null,
  name text not null default '',
  description text not null default '',
  addresses cidr[] not null default '{}',
  generation bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index address_group_list on network.address_group (project_id, created_at, id);

create table network.security_group_rule (
  id uuid primary key,
  security_group_id uuid not null references network.security_group (id) on delete cascade,
  project_id text not null,
  description text not null default '',
  direction text not null check (direction in ('ingress', 'egress')),
  ethertype text not null check (ethertype in ('IPv4', 'IPv6')),
  -- As the client wrote it, in lower case: name or number; null is any.
  protocol text,
  port_range_min integer,
  port_range_max integer,
  remote_ip_prefix cidr,
  remote_group_id uuid references network.security_group (id) on delete cascade,
  remote_address_group_id uuid references network.address_group (id),
  generation bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint security_group_rule_same unique nulls not distinct
    (security_group_id, direction, ethertype, protocol, port_range_min, port_range_max,
     remote_ip_prefix, remote_group_id, remote_address_group_id)
);
create index security_group_rule_list on network.security_group_rule (project_id, created_at, id);
create index security_group_rule_by_remote on network.security_group_rule (remote_group_id) where remote_group_id is not null;

create table network.port_security_group (
  port_id uuid not null references network.port (id) on delete cascade,
  security_group_id uuid not null references network.security_group (id),
  primary key (port_id, security_group_id)
);
create index port_security_group_by_group on network.port_security_group (security_group_id);

-- What new security groups begin with.
create table network.default_security_group_rule (
  id uuid primary key,
  description text not null default '',
  direction text not null check (direction in ('ingress', 'egress')),
  ethertype text not null check (ethertype in ('IPv4', 'IPv6')),
  protocol text,
  port_range_min integer,
  port_range_max integer,
  remote_ip_prefix cidr,
  -- A group's id, or PARENT for the group that the rule comes into.
  remote_group_id text,
  remote_address_group_id uuid,
  is_used_in_default_group boolean not null,
  is_used_in_other_groups boolean not null,
  created_at timestamptz not null default now(),
  constraint default_security_group_rule_same unique nulls not distinct
    (direction, ethertype, protocol, port_range_min, port_range_max, remote_ip_prefix, remote_group_id,
     remote_address_group_id, is_used_in_default_group, is_used_in_other_groups)
);
insert into network.default_security_group_rule
  (id, direction, ethertype, remote_group_id, is_used_in_default_group, is_used_in_other_groups) values
  (gen_random_uuid(), 'egress', 'IPv4', null, true, true),
  (gen_random_uuid(), 'egress', 'IPv6', null, true, true),
  (gen_random_uuid(), 'ingress', 'IPv4', 'PARENT', true, false),
  (gen_random_uuid(), 'ingress', 'IPv6', 'PARENT', true, false);

-- Who besides the owner may use a thing. `*` is every project.
create table network.rbac_policy (
  id uuid primary key,
  project_id text not null,
  object_type text not null check (object_type in
    ('network', 'security_group', 'address_scope', 'subnetpool', 'address_group')),
  object_id uuid not null,
  action text not null check (action in ('access_as_shared', 'access_as_external')),
  target_project text not null,
  created_at timestamptz not null default now(),
  constraint rbac_policy_same unique (object_id, object_type, action, target_project)
);
create index rbac_policy_by_target on network.rbac_policy (target_project, object_type, action, object_id);
create index rbac_policy_list on network.rbac_policy (project_id, created_at, id);

-- The network that was made for a project that asked for any (`auto`).
create table network.auto_topology (
  project_id text primary key,
  network_id uuid not null references network.network (id) on delete cascade,
  router_id uuid not null references network.router (id) on delete cascade
);
