-- Ports of a floating IP that lead to ports of inner addresses; one port is the range of itself. Two of a floating IP
-- never have the same outer port, and no inner port is reached in two ways.
create table network.port_forwarding (
  id uuid primary key,
  -- The floating IP's.
  project_id text not null,
  floating_ip_id uuid not null references network.floating_ip (id),
  internal_port_id uuid not null references network.port (id),
  internal_ip_address inet not null,
  protocol text not null check (protocol in ('tcp', 'udp')),
  internal_port_first integer not null check (internal_port_first between 1 and 65535),
  internal_port_last integer not null check (internal_port_last between internal_port_first and 65535),
  external_port_first integer not null check (external_port_first between 1 and 65535),
  external_port_last integer not null check (external_port_last between external_port_first and 65535),
  description text not null default '',
  created_at timestamptz not null default now(),
  constraint port_forwarding_external exclude using gist (floating_ip_id with =, protocol with =,
    int4range(external_port_first, external_port_last, '[]') with &&),
  constraint port_forwarding_internal exclude using gist (internal_port_id with =, internal_ip_address with =,
    protocol with =, int4range(internal_port_first, internal_port_last, '[]') with &&)
);
create index port_forwarding_list on network.port_forwarding (floating_ip_id, created_at, id);
create index port_forwarding_by_port on network.port_forwarding (internal_port_id);
-- What quotas count.
create index port_forwarding_by_project on network.port_forwarding (project_id);
