import { sql } from "kysely"
import type { PolicyTarget } from "../../platform/policy/rule.ts"
import { subnetNotFound } from "../faults.ts"
import { poolsOf } from "../ipam/allocate.ts"
import { networkActions } from "../network/network.ts"
import { type Columns, column, type Source, standardColumns } from "../resource/list.ts"
import type { Described } from "../resource/standard.ts"
import { sharedWith, type Viewer } from "../resource/viewer.ts"
import { visibleTo } from "../resource/visible.ts"

export type Ipv6Mode = "slaac" | "dhcpv6-stateful" | "dhcpv6-stateless"

export interface AddressPool {
  start: string
  end: string
}

export interface HostRoute {
  destination: string
  nexthop: string
}

export interface Subnet extends Described {
  networkId: string
  ipVersion: 4 | 6
  cidr: string
  gatewayIp: string | null
  enableDhcp: boolean
  allocationPools: AddressPool[]
  dnsNameservers: string[]
  hostRoutes: HostRoute[]
  ipv6RaMode: Ipv6Mode | null
  ipv6AddressMode: Ipv6Mode | null
  subnetpoolId: string | null
  serviceTypes: string[]
  dnsPublishFixedIp: boolean
  /** Of its network, for the policy. */
  shared: boolean
  routerExternal: boolean
  networkProjectId: string
}

const networkId = sql`n.id`

function subnetColumns(viewer: Viewer): Columns {
  return {
    ...standardColumns("s"),
    name: column("text", sql`s.name`),
    networkId: column("uuid", sql`s.network_id`),
    ipVersion: column("integer", sql`s.ip_version`),
    cidr: column("cidr", sql`s.cidr`),
    gatewayIp: column("address", sql`s.gateway_ip`),
    enableDhcp: column("boolean", sql`s.is_dhcp_enabled`),
    allocationPools: column("other", poolsOf(sql`s.id`)),
    dnsNameservers: column("other", sql`s.dns_nameservers`),
    hostRoutes: column("other", sql`s.host_routes`),
    ipv6RaMode: column("text", sql`s.ipv6_ra_mode`),
    ipv6AddressMode: column("text", sql`s.ipv6_address_mode`),
    subnetpoolId: column("uuid", sql`s.subnet_pool_id`),
    serviceTypes: column("other", sql`s.service_types`),
    dnsPublishFixedIp: column("boolean", sql`s.is_dns_published`),
    shared: column("boolean", sharedWith(viewer, "network", networkId)),
    routerExternal: column("boolean", sql`n.is_external`),
    networkProjectId: column("text", sql`n.project_id`),
  }
}

export function subnetSource(viewer: Viewer): Source {
  return {
    table: sql`network.subnet`,
    alias: "s",
    joins: sql`join network.network n on n.id = s.network_id`,
    columns: subnetColumns(viewer),
    visible: visibleTo(viewer, {
      owner: sql`s.project_id`,
      within: { id: sql`s.network_id`, owner: sql`n.project_id`, table: sql`network.network` },
      shared: { objectType: "network", objectId: sql`s.network_id`, actions: networkActions },
    }),
    markerFault: subnetNotFound,
  }
}

export function subnetTarget(
  subnet: Pick<Subnet, "projectId" | "shared" | "routerExternal" | "networkProjectId">,
): PolicyTarget {
  return {
    project_id: subnet.projectId,
    tenant_id: subnet.projectId,
    "network:project_id": subnet.networkProjectId,
    "network:tenant_id": subnet.networkProjectId,
    shared: subnet.shared,
    "router:external": subnet.routerExternal,
  }
}
