import { sql } from "kysely"
import { Type } from "typebox"
import {
  address,
  boolean,
  cidr,
  field,
  inputOnly,
  nullable,
  structure,
  text,
  texts,
  uuid,
  word,
} from "../../platform/noun/field.ts"
import { type Create, noun, type Thing } from "../../platform/noun/noun.ts"
import type { PolicyTarget } from "../../platform/policy/rule.ts"
import { nullable as nullableSchema } from "../../platform/schema/make.ts"
import { subnetNotFound } from "../faults.ts"
import { poolsOf } from "../ipam/allocate.ts"
import { networkActions } from "../network/network.ts"
import { descriptionField, ownedFields, tagFields } from "../resource/standard.ts"
import { sharedWith, type Viewer } from "../resource/viewer.ts"
import { visibleTo } from "../resource/visible.ts"

const modes = ["slaac", "dhcpv6-stateful", "dhcpv6-stateless"] as const
export type Ipv6Mode = (typeof modes)[number]

const AddressPool = Type.Object({ start: Type.String(), end: Type.String() })
export type AddressPool = Type.Static<typeof AddressPool>

export const HostRoute = Type.Object({ destination: Type.String(), nexthop: Type.String() })
export type HostRoute = Type.Static<typeof HostRoute>

const TextOrNull = nullableSchema(Type.String())
export const IpVersion = Type.Union([Type.Literal(4), Type.Literal(6)])

export const subnetNoun = noun({
  name: "network.subnet",
  table: sql`network.subnet`,
  alias: "s",
  joins: sql`join network.network n on n.id = s.network_id`,
  fields: {
    ...ownedFields("s"),
    description: descriptionField("s"),
    ...tagFields("s"),
    name: text(sql`s.name`, { create: true, update: true, filter: true, sort: true }),
    networkId: uuid(sql`s.network_id`, { create: "required", filter: true, sort: true }),
    ipVersion: field("integer", IpVersion, sql`s.ip_version`, {
      input: Type.Integer(),
      create: true,
      filter: true,
      sort: true,
    }),
    cidr: cidr(sql`s.cidr`, { input: TextOrNull, create: true, filter: true, sort: true }),
    prefixlen: inputOnly(Type.Integer({ minimum: 0, maximum: 128 }), { create: true }),
    useDefaultSubnetpool: inputOnly(Type.Boolean(), { create: true }),
    gatewayIp: nullable(address(sql`s.gateway_ip`, { create: true, update: true, filter: true, sort: true })),
    enableDhcp: boolean(sql`s.is_dhcp_enabled`, { create: true, update: true, filter: true, sort: true }),
    allocationPools: structure(Type.Array(AddressPool), poolsOf(sql`s.id`), { create: true, update: true }),
    dnsNameservers: texts(sql`s.dns_nameservers`, { create: true, update: true }),
    hostRoutes: structure(Type.Array(HostRoute), sql`s.host_routes`, { create: true, update: true }),
    ipv6RaMode: nullable(word(modes, sql`s.ipv6_ra_mode`, { create: true, filter: true, sort: true })),
    ipv6AddressMode: nullable(
      word(modes, sql`s.ipv6_address_mode`, { create: true, filter: true, sort: true }),
    ),
    subnetpoolId: nullable(
      uuid(sql`s.subnet_pool_id`, { input: TextOrNull, create: true, filter: true, sort: true }),
    ),
    // The rules of this attribute exist, and Neutron asks none of them.
    serviceTypes: texts(sql`s.service_types`, { create: true, update: true }),
    dnsPublishFixedIp: boolean(sql`s.is_dns_published`, { create: true, update: true }),
    /** This and the next ones are of its network, for the policy. */
    shared: boolean((viewer: Viewer) => sharedWith(viewer, "network", sql`n.id`), {
      filter: true,
      internal: true,
    }),
    routerExternal: boolean(sql`n.is_external`, { name: "router:external", filter: true }),
    networkProjectId: text(sql`n.project_id`, { internal: true }),
  },
  visible: (viewer: Viewer) =>
    visibleTo(viewer, {
      owner: sql`s.project_id`,
      within: { id: sql`s.network_id`, owner: sql`n.project_id`, table: sql`network.network` },
      shared: { objectType: "network", objectId: sql`s.network_id`, actions: networkActions },
    }),
  notFound: subnetNotFound,
})

export type Subnet = Thing<typeof subnetNoun>
export type SubnetInput = Create<typeof subnetNoun>

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
