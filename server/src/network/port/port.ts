import { sql } from "kysely"
import { isUuid } from "../../platform/ids/ids.ts"
import type { PolicyTarget } from "../../platform/policy/rule.ts"
import { portNotFound } from "../faults.ts"
import {
  addressesOf,
  type Columns,
  column,
  filterOnly,
  type Source,
  standardColumns,
} from "../resource/list.ts"
import type { Described } from "../resource/standard.ts"
import { sharedWith, type Viewer } from "../resource/viewer.ts"
import { visibleTo } from "../resource/visible.ts"

export interface FixedIp {
  subnetId: string
  ipAddress: string
}

export interface AddressPair {
  ipAddress: string
  macAddress: string
}

export interface DhcpOption {
  name: string
  value: string
  ipVersion: 4 | 6
}

export interface Port extends Described {
  networkId: string
  adminStateUp: boolean
  status: string
  macAddress: string
  /** Text for people, as the owner is: `serverId` is what binds. */
  deviceId: string
  deviceOwner: string
  serverId: string | null
  fixedIps: FixedIp[]
  securityGroups: string[]
  portSecurityEnabled: boolean
  bindingHostId: string
  bindingVnicType: string
  bindingProfile: Record<string, unknown>
  dnsName: string
  dnsDomain: string
  allowedAddressPairs: AddressPair[]
  extraDhcpOpts: DhcpOption[]
  propagateUplinkStatus: boolean
  /** Of its network, for the policy and the names. */
  networkProjectId: string
  networkDnsDomain: string
  networkName: string
  networkMtu: number
  shared: boolean
}

/** Attributes with a policy rule of their own: key → name in the rule. */
export const portAttributes = {
  write: {
    deviceOwner: "device_owner",
    macAddress: "mac_address",
    fixedIps: "fixed_ips",
    portSecurityEnabled: "port_security_enabled",
    bindingHostId: "binding:host_id",
    bindingProfile: "binding:profile",
    bindingVnicType: "binding:vnic_type",
    allowedAddressPairs: "allowed_address_pairs",
    tags: "tags",
  },
  read: {
    bindingVifType: "binding:vif_type",
    bindingVifDetails: "binding:vif_details",
    bindingHostId: "binding:host_id",
    bindingProfile: "binding:profile",
  },
} as const

function portColumns(viewer: Viewer): Columns {
  return {
    ...standardColumns("p"),
    name: column("text", sql`p.name`),
    networkId: column("uuid", sql`p.network_id`),
    adminStateUp: column("boolean", sql`p.is_admin_up`),
    status: column("text", sql`p.status`),
    macAddress: column("mac", sql`p.mac_address`),
    deviceId: column("text", sql`p.device_id`),
    deviceOwner: column("text", sql`p.device_owner`),
    serverId: column("uuid", sql`p.server_id`),
    fixedIps: column(
      "other",
      sql`(select coalesce(json_agg(json_build_object('subnetId', a.subnet_id, 'ipAddress', host(a.address))
        order by a.position, a.address), '[]') from network.ip_allocation a where a.port_id = p.id)`,
    ),
    fixedIpAddress: filterOnly(
      (v) =>
        sql<boolean>`exists (select from network.ip_allocation a where a.port_id = p.id and a.address = any(${addressesOf(v)}::inet[]))`,
    ),
    fixedIpAddressPart: filterOnly(
      (v) =>
        sql<boolean>`exists (select from network.ip_allocation a, unnest(${v}::text[]) part
          where a.port_id = p.id and position(part in host(a.address)) > 0)`,
    ),
    fixedIpSubnetId: filterOnly(
      (v) =>
        sql<boolean>`exists (select from network.ip_allocation a where a.port_id = p.id and a.subnet_id = any(${v.filter(isUuid)}::uuid[]))`,
    ),
    securityGroups: {
      kind: "other",
      sql: sql`array(select g.security_group_id::text from network.port_security_group g
        where g.port_id = p.id order by g.security_group_id)`,
      match: (v) =>
        sql<boolean>`exists (select from network.port_security_group g where g.port_id = p.id and g.security_group_id = any(${v.filter(isUuid)}::uuid[]))`,
    },
    portSecurityEnabled: column("boolean", sql`p.is_port_security_enabled`),
    bindingHostId: column("text", sql`p.host_id`),
    bindingVnicType: column("text", sql`p.vnic_type`),
    bindingProfile: column("other", sql`p.binding_profile`),
    dnsName: column("text", sql`p.dns_name`),
    dnsDomain: column("text", sql`p.dns_domain`),
    allowedAddressPairs: column("other", sql`p.allowed_address_pairs`),
    extraDhcpOpts: column("other", sql`p.extra_dhcp_options`),
    propagateUplinkStatus: column("boolean", sql`p.is_uplink_status_propagated`),
    networkProjectId: column("text", sql`n.project_id`),
    networkDnsDomain: column("text", sql`n.dns_domain`),
    networkName: column("text", sql`n.name`),
    networkMtu: column("integer", sql`n.mtu`),
    shared: column("boolean", sharedWith(viewer, "network", sql`n.id`)),
  }
}

export function portSource(viewer: Viewer): Source {
  return {
    table: sql`network.port`,
    alias: "p",
    joins: sql`join network.network n on n.id = p.network_id`,
    columns: portColumns(viewer),
    visible: visibleTo(viewer, {
      owner: sql`p.project_id`,
      within: { id: sql`p.network_id`, owner: sql`n.project_id`, table: sql`network.network` },
    }),
    markerFault: portNotFound,
  }
}

export function portTarget(
  port: Pick<Port, "projectId" | "networkProjectId" | "shared" | "deviceOwner">,
): PolicyTarget {
  return {
    project_id: port.projectId,
    tenant_id: port.projectId,
    "network:project_id": port.networkProjectId,
    "network:tenant_id": port.networkProjectId,
    shared: port.shared,
    device_owner: port.deviceOwner,
    device_owner_kind: port.deviceOwner.split(":")[0],
  }
}

/** Ports that are part of the cloud and not of a machine. */
export function isCloudOwned(deviceOwner: string): boolean {
  return deviceOwner.startsWith("network:")
}

/** Owners that mean something to the engine: only the verbs of these things write them. */
const reservedOwners: ReadonlySet<string> = new Set([
  "network:router_interface",
  "network:router_gateway",
  "network:floatingip",
  "network:distributed",
])

export function isReservedOwner(deviceOwner: string): boolean {
  return reservedOwners.has(deviceOwner)
}

export interface DnsAssignment {
  ipAddress: string
  hostname: string
  fqdn: string
}

/** Names under which the port's addresses are answered. */
export function dnsAssignment(port: Pick<Port, "dnsName" | "fixedIps">, domain: string): DnsAssignment[] {
  return port.fixedIps.map(({ ipAddress }) => {
    const hostname = port.dnsName || `host-${ipAddress.replaceAll(/[.:]+/g, "-")}`
    return { ipAddress, hostname, fqdn: `${hostname}.${domain.replace(/\.?$/, ".")}` }
  })
}
