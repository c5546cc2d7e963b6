import { sql } from "kysely"
import { Type } from "typebox"
import { isUuid } from "../../platform/ids/ids.ts"
import {
  boolean,
  filterOnly,
  integer,
  mac,
  matched,
  nullable,
  structure,
  text,
  texts,
  uuid,
} from "../../platform/noun/field.ts"
import { addressesOf } from "../../platform/noun/list.ts"
import { type Changes, type Create, noun, type Thing } from "../../platform/noun/noun.ts"
import type { PolicyTarget } from "../../platform/policy/rule.ts"
import { portNotFound } from "../faults.ts"
import { descriptionField, ownedFields, tagFields } from "../resource/standard.ts"
import { sharedWith, type Viewer } from "../resource/viewer.ts"
import { visibleTo } from "../resource/visible.ts"

export const FixedIp = Type.Object({ subnetId: Type.String(), ipAddress: Type.String() })
export type FixedIp = Type.Static<typeof FixedIp>
export const FixedIpInput = Type.Partial(FixedIp)

const AddressPair = Type.Object({ ipAddress: Type.String(), macAddress: Type.String() })
export type AddressPair = Type.Static<typeof AddressPair>
const AddressPairInput = Type.Object({ ipAddress: Type.String(), macAddress: Type.Optional(Type.String()) })

const IpVersion = Type.Union([Type.Literal(4), Type.Literal(6)])
const DhcpOption = Type.Object({ name: Type.String(), value: Type.String(), ipVersion: IpVersion })
export type DhcpOption = Type.Static<typeof DhcpOption>
const DhcpOptionInput = Type.Object({
  name: Type.String(),
  /** Null takes the option away. */
  value: Type.Union([Type.String(), Type.Null()]),
  ipVersion: Type.Optional(IpVersion),
})

export const portNoun = noun({
  name: "network.port",
  table: sql`network.port`,
  alias: "p",
  joins: sql`join network.network n on n.id = p.network_id`,
  fields: {
    ...ownedFields("p"),
    description: descriptionField("p"),
    ...tagFields("p"),
    name: text(sql`p.name`, { create: true, update: true, filter: true, sort: true }),
    networkId: uuid(sql`p.network_id`, { create: "required", filter: true, sort: true }),
    adminStateUp: boolean(sql`p.is_admin_up`, { create: true, update: true, filter: true, sort: true }),
    status: text(sql`p.status`, { filter: true, sort: true }),
    macAddress: mac(sql`p.mac_address`, {
      create: true,
      update: true,
      filter: true,
      sort: true,
      rule: "write",
    }),
    /** Text for people, as the owner is: `serverId` is what binds. */
    deviceId: text(sql`p.device_id`, { create: true, update: true, filter: true, sort: true }),
    deviceOwner: text(sql`p.device_owner`, {
      create: true,
      update: true,
      filter: true,
      sort: true,
      rule: "write",
    }),
    serverId: nullable(uuid(sql`p.server_id`, { internal: true })),
    fixedIps: structure(
      Type.Array(FixedIp),
      sql`(select coalesce(json_agg(json_build_object('subnetId', a.subnet_id, 'ipAddress', host(a.address))
        order by a.position, a.address), '[]') from network.ip_allocation a where a.port_id = p.id)`,
      { input: Type.Array(FixedIpInput), create: true, update: true, rule: "write" },
    ),
    fixedIpAddress: filterOnly(
      (v) =>
        sql<boolean>`exists (select from network.ip_allocation a where a.port_id = p.id and a.address = any(${addressesOf(v)}::inet[]))`,
      "ip_address",
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
    securityGroups: matched(
      texts(
        sql`array(select g.security_group_id::text from network.port_security_group g
          where g.port_id = p.id order by g.security_group_id)`,
        { create: true, update: true, filter: true },
      ),
      (v) =>
        sql<boolean>`exists (select from network.port_security_group g where g.port_id = p.id and g.security_group_id = any(${v.filter(isUuid)}::uuid[]))`,
    ),
    portSecurityEnabled: boolean(sql`p.is_port_security_enabled`, {
      create: true,
      update: true,
      rule: "write",
    }),
    bindingHostId: text(sql`p.host_id`, {
      name: "binding:host_id",
      create: true,
      update: true,
      filter: true,
      rule: "both",
    }),
    bindingVnicType: text(sql`p.vnic_type`, {
      name: "binding:vnic_type",
      create: true,
      update: true,
      rule: "write",
    }),
    bindingProfile: structure(Type.Record(Type.String(), Type.Unknown()), sql`p.binding_profile`, {
      name: "binding:profile",
      create: true,
      update: true,
      rule: "both",
    }),
    dnsName: text(sql`p.dns_name`, { create: true, update: true }),
    dnsDomain: text(sql`p.dns_domain`, { create: true, update: true }),
    allowedAddressPairs: structure(Type.Array(AddressPair), sql`p.allowed_address_pairs`, {
      input: Type.Array(AddressPairInput),
      create: true,
      update: true,
      rule: "write",
    }),
    extraDhcpOpts: structure(Type.Array(DhcpOption), sql`p.extra_dhcp_options`, {
      input: Type.Array(DhcpOptionInput),
      create: true,
      update: true,
    }),
    qosPolicyId: nullable(uuid(sql`p.qos_policy_id`, { create: true, update: true })),
    /** Of its network: what it has without one of its own. */
    qosNetworkPolicyId: nullable(uuid(sql`n.qos_policy_id`)),
    propagateUplinkStatus: boolean(sql`p.is_uplink_status_propagated`, { create: true }),
    /** This and the next ones are of its network, for the policy and the names. */
    networkProjectId: text(sql`n.project_id`, { internal: true }),
    networkDnsDomain: text(sql`n.dns_domain`, { internal: true }),
    networkName: text(sql`n.name`, { internal: true }),
    networkMtu: integer(sql`n.mtu`, { internal: true }),
    shared: boolean((viewer: Viewer) => sharedWith(viewer, "network", sql`n.id`), { internal: true }),
  },
  visible: (viewer: Viewer) =>
    visibleTo(viewer, {
      owner: sql`p.project_id`,
      within: { id: sql`p.network_id`, owner: sql`n.project_id`, table: sql`network.network` },
    }),
  notFound: portNotFound,
})

export type Port = Thing<typeof portNoun>
export type PortInput = Create<typeof portNoun>
export type PortChanges = Changes<typeof portNoun>

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
