import { type RawBuilder, sql } from "kysely"
import { isUuid } from "../../platform/ids/ids.ts"
import { boolean, filterOnly, integer, nullable, text, texts, uuid } from "../../platform/noun/field.ts"
import { type Create, noun, type Thing } from "../../platform/noun/noun.ts"
import type { PolicyTarget } from "../../platform/policy/rule.ts"
import { networkNotFound } from "../faults.ts"
import { descriptionField, ownedFields, tagFields } from "../resource/standard.ts"
import { sharedWith, type Viewer } from "../resource/viewer.ts"
import { visibleTo } from "../resource/visible.ts"

const id = sql`n.id`

/** By each of these a network may be known. */
export const networkActions = ["access_as_shared", "access_as_external"] as const

export const networkNoun = noun({
  name: "network.network",
  table: sql`network.network`,
  alias: "n",
  fields: {
    ...ownedFields("n"),
    description: descriptionField("n"),
    ...tagFields("n"),
    name: text(sql`n.name`, { create: true, update: true, filter: true, sort: true }),
    adminStateUp: boolean(sql`n.is_admin_up`, { create: true, update: true, filter: true, sort: true }),
    status: text(sql`n.status`, { filter: true, sort: true }),
    /** Whether other projects than the owner's may use it, the viewer's among them. */
    shared: boolean((viewer: Viewer) => sharedWith(viewer, "network", id), {
      create: true,
      update: true,
      filter: true,
      rule: "write",
    }),
    routerExternal: boolean(sql`n.is_external`, {
      name: "router:external",
      create: true,
      update: true,
      filter: true,
      rule: "write",
    }),
    subnets: texts(
      sql`array(select s.id::text from network.subnet s where s.network_id = n.id order by s.created_at, s.id)`,
    ),
    subnetId: filterOnly(
      (ids) =>
        sql<boolean>`exists (select from network.subnet s where s.network_id = n.id and s.id = any(${ids.filter(isUuid)}::uuid[]))`,
      "subnets",
    ),
    mtu: integer(sql`n.mtu`, { min: 0, create: true, update: true, filter: true, sort: true }),
    // planSegment says which there are, in Neutron's words.
    providerNetworkType: text(sql`n.provider_type`, {
      name: "provider:network_type",
      create: true,
      update: true,
      filter: true,
      rule: "both",
    }),
    providerPhysicalNetwork: nullable(
      text(sql`n.physical_network`, {
        name: "provider:physical_network",
        create: true,
        update: true,
        filter: true,
        rule: "both",
      }),
    ),
    providerSegmentationId: nullable(
      integer(sql`n.segmentation_id`, {
        name: "provider:segmentation_id",
        create: true,
        update: true,
        filter: true,
        rule: "both",
      }),
    ),
    portSecurityEnabled: boolean(sql`n.is_port_security_enabled`, {
      create: true,
      update: true,
      rule: "write",
    }),
    isDefault: boolean(sql`n.is_default`, { create: true, update: true, filter: true, rule: "write" }),
    dnsDomain: text(sql`n.dns_domain`, { create: true, update: true }),
    qosPolicyId: nullable(uuid(sql`n.qos_policy_id`, { create: true, update: true })),
    availabilityZoneHints: texts(sql`n.availability_zone_hints`, { create: true }),
    ipv4AddressScope: nullable(uuid(addressScope(4))),
    ipv6AddressScope: nullable(uuid(addressScope(6))),
  },
  visible: (viewer: Viewer) =>
    visibleTo(viewer, {
      owner: sql`n.project_id`,
      shared: { objectType: "network", objectId: id, actions: networkActions },
    }),
  notFound: networkNotFound,
})

export type Network = Thing<typeof networkNoun>
export type NetworkInput = Create<typeof networkNoun>

function addressScope(version: 4 | 6): RawBuilder<unknown> {
  return sql`(select p.address_scope_id from network.subnet s join network.subnet_pool p on p.id = s.subnet_pool_id
    where s.network_id = n.id and s.ip_version = ${sql.lit(version)} limit 1)`
}

export function networkTarget(
  network: Pick<Network, "projectId" | "shared" | "routerExternal">,
): PolicyTarget {
  return {
    project_id: network.projectId,
    tenant_id: network.projectId,
    "network:project_id": network.projectId,
    "network:tenant_id": network.projectId,
    shared: network.shared,
    "router:external": network.routerExternal,
  }
}
