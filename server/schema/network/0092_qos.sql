-- Quality of service: policies of rules, on networks, ports (also gateways of routers) and floating IPs.
create table network.qos_policy (
  id uuid primary key,
  project_id text not null,
  name text not null default '',
  description text not null default '',
  tags text[] not null default '{}',
  -- New networks of the project have it where they say nothing else.
  is_default boolean not null default false,
  generation bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index qos_policy_list on network.qos_policy (project_id, created_at, id);
create index qos_policy_by_creation on network.qos_policy (created_at, id);
create index qos_policy_by_name on network.qos_policy (name, project_id);
create unique index qos_policy_one_default on network.qos_policy (project_id) where is_default;

create table network.qos_rule (
  id uuid primary key,
  qos_policy_id uuid not null references network.qos_policy (id) on delete cascade,
  type text not null check (type in
    ('bandwidth_limit', 'dscp_marking', 'minimum_bandwidth', 'packet_rate_limit', 'minimum_packet_rate')),
  direction text check (direction in ('ingress', 'egress', 'any')),
  max_kbps integer,
  max_burst_kbps integer,
  dscp_mark integer,
  min_kbps integer,
  max_kpps integer,
  max_burst_kpps integer,
  min_kpps integer,
  created_at timestamptz not null default now(),
  constraint qos_rule_same unique nulls not distinct (qos_policy_id, type, direction)
);

alter table network.network add column qos_policy_id uuid references network.qos_policy (id);
create index network_by_qos_policy on network.network (qos_policy_id) where qos_policy_id is not null;
-- Of a router's gateway too: its port is the gateway.
alter table network.port add column qos_policy_id uuid references network.qos_policy (id);
create index port_by_qos_policy on network.port (qos_policy_id) where qos_policy_id is not null;
alter table network.floating_ip add column qos_policy_id uuid references network.qos_policy (id);
create index floating_ip_by_qos_policy on network.floating_ip (qos_policy_id) where qos_policy_id is not null;

-- expand: the check takes more than before
alter table network.rbac_policy drop constraint rbac_policy_object_type_check,
  add constraint rbac_policy_object_type_check check (object_type in
    ('network', 'security_group', 'address_scope', 'subnetpool', 'address_group', 'qos_policy'));
