import type { ColumnType, Generated } from "kysely"

type Timestamp = ColumnType<Date, Date | string | undefined, Date | string>
type Json<T> = ColumnType<T, string | undefined, string>

interface Standard {
  id: string
  project_id: string
  description: Generated<string>
  tags: Generated<string[]>
  generation: Generated<number>
  created_at: Timestamp
  updated_at: Timestamp
}

interface Route {
  destination: string
  nexthop: string
}

export interface NetworkTable extends Standard {
  name: Generated<string>
  is_admin_up: Generated<boolean>
  status: Generated<string>
  is_external: Generated<boolean>
  mtu: number
  provider_type: string
  physical_network: string | null
  segmentation_id: number | null
  is_port_security_enabled: Generated<boolean>
  is_default: Generated<boolean>
  dns_domain: Generated<string>
  availability_zone_hints: Generated<string[]>
}

export interface SubnetTable extends Standard {
  network_id: string
  name: Generated<string>
  ip_version: number
  cidr: string
  gateway_ip: string | null
  is_dhcp_enabled: Generated<boolean>
  ipv6_ra_mode: string | null
  ipv6_address_mode: string | null
  dns_nameservers: Generated<string[]>
  host_routes: Json<Route[]>
  subnet_pool_id: string | null
  service_types: Generated<string[]>
  is_dns_published: Generated<boolean>
}

export interface AllocationPoolTable {
  subnet_id: string
  first_address: string
  last_address: string
}

export interface PortTable extends Standard {
  network_id: string
  name: Generated<string>
  is_admin_up: Generated<boolean>
  status: Generated<string>
  mac_address: string
  device_id: Generated<string>
  device_owner: Generated<string>
  is_port_security_enabled: Generated<boolean>
  host_id: Generated<string>
  vnic_type: Generated<string>
  binding_profile: Json<Record<string, unknown>>
  dns_name: Generated<string>
  dns_domain: Generated<string>
  allowed_address_pairs: Json<{ ipAddress: string; macAddress: string }[]>
  extra_dhcp_options: Json<{ name: string; value: string; ipVersion: 4 | 6 }[]>
  is_uplink_status_propagated: Generated<boolean>
  server_id: string | null
  server_interface_index: number | null
  server_interface_tag: string | null
  is_made_by_compute: Generated<boolean>
}

export interface IpAllocationTable {
  subnet_id: string
  address: string
  network_id: string
  port_id: string
  position: Generated<number>
}

export interface RouterTable extends Standard {
  name: Generated<string>
  is_admin_up: Generated<boolean>
  status: Generated<string>
  is_snat_enabled: Generated<boolean>
  routes: Json<Route[]>
  availability_zone_hints: Generated<string[]>
}

export interface RouterInterfaceTable {
  router_id: string
  subnet_id: string
  port_id: string
}

export interface FloatingIpTable extends Standard {
  floating_network_id: string
  floating_port_id: string
  address: string
  fixed_port_id: string | null
  fixed_ip_address: string | null
  router_id: string | null
  status: Generated<string>
  dns_name: Generated<string>
  dns_domain: Generated<string>
}

export interface SecurityGroupTable extends Standard {
  name: Generated<string>
  is_stateful: Generated<boolean>
  is_default: Generated<boolean>
}

export interface SecurityGroupRuleTable extends Omit<Standard, "tags"> {
  security_group_id: string
  direction: string
  ethertype: string
  protocol: string | null
  port_range_min: number | null
  port_range_max: number | null
  remote_ip_prefix: string | null
  remote_group_id: string | null
  remote_address_group_id: string | null
  remote_ip_given: string | null
}

export interface PortSecurityGroupTable {
  port_id: string
  security_group_id: string
}

export interface DefaultSecurityGroupRuleTable {
  id: string
  description: Generated<string>
  direction: string
  ethertype: string
  protocol: string | null
  port_range_min: number | null
  port_range_max: number | null
  remote_ip_prefix: string | null
  remote_group_id: string | null
  remote_address_group_id: string | null
  is_used_in_default_group: boolean
  is_used_in_other_groups: boolean
  created_at: Timestamp
}

export interface RbacPolicyTable {
  id: string
  project_id: string
  object_type: string
  object_id: string
  action: string
  target_project: string
  created_at: Timestamp
}

export interface AddressScopeTable extends Omit<Standard, "tags" | "description"> {
  name: Generated<string>
  ip_version: number
}

export interface SubnetPoolTable extends Standard {
  name: string
  ip_version: number
  prefixes: string[]
  default_prefix_length: number
  min_prefix_length: number
  max_prefix_length: number
  default_quota: number | null
  is_default: Generated<boolean>
  address_scope_id: string | null
}

export interface AddressGroupTable extends Omit<Standard, "tags"> {
  name: Generated<string>
  addresses: Generated<string[]>
}

export interface AutoTopologyTable {
  project_id: string
  network_id: string
  router_id: string
}

export interface AgentTable {
  id: string
  host: string
  binary_name: string
  description: Generated<string>
  problem: string | null
  created_at: Timestamp
  started_at: Timestamp
  heartbeat_at: Timestamp
}

declare module "../platform/db/database.ts" {
  interface Database {
    "network.network": NetworkTable
    "network.subnet": SubnetTable
    "network.allocation_pool": AllocationPoolTable
    "network.port": PortTable
    "network.ip_allocation": IpAllocationTable
    "network.router": RouterTable
    "network.router_interface": RouterInterfaceTable
    "network.floating_ip": FloatingIpTable
    "network.security_group": SecurityGroupTable
    "network.security_group_rule": SecurityGroupRuleTable
    "network.port_security_group": PortSecurityGroupTable
    "network.default_security_group_rule": DefaultSecurityGroupRuleTable
    "network.rbac_policy": RbacPolicyTable
    "network.address_scope": AddressScopeTable
    "network.subnet_pool": SubnetPoolTable
    "network.address_group": AddressGroupTable
    "network.auto_topology": AutoTopologyTable
    "network.agent": AgentTable
  }
}
