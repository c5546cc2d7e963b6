-- Hosts that joined are no gateways of the public network; the cloud's first one is.
alter table network.agent add column is_gateway boolean not null default true;
create unique index agent_host_binary on network.agent (host, binary_name);
