-- Lists of all projects (administrators') are paged in this order, as those of one project are.
create index subnet_by_creation on network.subnet (created_at, id);
create index router_by_creation on network.router (created_at, id);
create index floating_ip_by_creation on network.floating_ip (created_at, id);
create index security_group_by_creation on network.security_group (created_at, id);
create index security_group_rule_by_creation on network.security_group_rule (created_at, id);
create index subnet_pool_by_creation on network.subnet_pool (created_at, id);
create index address_scope_by_creation on network.address_scope (created_at, id);
create index address_group_by_creation on network.address_group (created_at, id);
create index rbac_policy_by_creation on network.rbac_policy (created_at, id);

-- Many projects give their things the same names; a project's own are found by both.
create index network_by_name on network.network (name, project_id);
create index subnet_by_name on network.subnet (name, project_id);
create index port_by_name on network.port (name, project_id);
create index router_by_name on network.router (name, project_id);
create index security_group_by_name on network.security_group (name, project_id);
create index subnet_pool_by_name on network.subnet_pool (name, project_id);
create index address_scope_by_name on network.address_scope (name, project_id);
create index address_group_by_name on network.address_group (name, project_id);

-- What others have on a project's networks, without the project's own.
create index port_by_owner on network.port (network_id, project_id);
create index subnet_by_owner on network.subnet (network_id, project_id);
create index security_group_rule_by_owner on network.security_group_rule (security_group_id, project_id);

-- What people look for.
drop index network.network_external;
create index network_external on network.network (created_at, id) where is_external;
create index network_by_segment on network.network (segmentation_id);
create index subnet_by_cidr on network.subnet (cidr);
create index subnet_by_gateway on network.subnet (gateway_ip);
create index port_by_mac_address on network.port (mac_address);
create index port_by_device_owner on network.port (device_owner, created_at, id);
create index ip_allocation_by_host on network.ip_allocation (address);
create index floating_ip_by_address on network.floating_ip (address);
create index floating_ip_by_fixed_address on network.floating_ip (fixed_ip_address);
create index security_group_rule_by_address_group on network.security_group_rule (remote_address_group_id);
create index subnet_pool_by_scope on network.subnet_pool (address_scope_id);

-- Before a network or a router goes, what refers to it is looked for.
create index auto_topology_by_network on network.auto_topology (network_id);
create index auto_topology_by_router on network.auto_topology (router_id);
