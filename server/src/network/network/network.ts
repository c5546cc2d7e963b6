import { type RawBuilder, sql } from "kysely"
import { isUuid } from "../../platform/ids/ids.ts"
import type { PolicyTarget } from "../../platform/policy/rule.ts"
import { networkNotFound } from "../faults.ts"
import { type Columns, column, filterOnly, type Source, standardColumns } from "../resource/list.ts"
import type { Described } from "../resource/standard.ts"
import { sharedWith, type Viewer } from "../resource/viewer.ts"
import { visibleTo } from "../resource/visible.ts"

export interface Network extends Described {
  adminStateUp: boolean
  status: string
  /** Whether other projects than the owner's may use it, the viewer's among them. */
  shared: boolean
  routerExternal: boolean
  subnets: string[]
  mtu: number
  providerNetworkType: "geneve" | "flat" | "vlan"
  providerPhysicalNetwork: string | null
  providerSegmentationId: number | null
  portSecurityEnabled: boolean
  isDefault: boolean
  dnsDomain: string
  availabilityZoneHints: string[]
  ipv4AddressScope: string | null
  ipv6AddressScope: string | null
}

/** Attributes with a policy rule of their own: key → name in the rule. */
export const networkAttributes = {
  write: {
    shared: "shared",
    routerExternal: "router:external",
    isDefault: "is_default",
    portSecurityEnabled: "port_security_enabled",
    providerNetworkType: "provider:network_type",
    providerPhysicalNetwork: "provider:physical_network",
    providerSegmentationId: "provider:segmentation_id",
    tags: "tags",
  },
  read: {
    providerNetworkType: "provider:network_type",
    providerPhysicalNetwork: "provider:physical_network",
    providerSegmentationId: "provider:segmentation_id",
  },
} as const

const id = sql`n.id`

export function networkColumns(viewer: Viewer): Columns {
  return {
    ...standardColumns("n"),
    name: column("text", sql`n.name`),
    adminStateUp: column("boolean", sql`n.is_admin_up`),
    status: column("text", sql`n.status`),
    shared: column("boolean", sharedWith(viewer, "network", id)),
    routerExternal: column("boolean", sql`n.is_external`),
    subnets: column(
      "other",
      sql`array(select s.id::text from network.subnet s where s.network_id = n.id order by s.created_at, s.id)`,
    ),
    subnetId: filterOnly(
      (ids) =>
        sql<boolean>`exists (select from network.subnet s where s.network_id = n.id and s.id = any(${ids.filter(isUuid)}::uuid[]))`,
    ),
    mtu: column("integer", sql`n.mtu`),
    providerNetworkType: column("text", sql`n.provider_type`),
    providerPhysicalNetwork: column("text", sql`n.physical_network`),
    providerSegmentationId: column("integer", sql`n.segmentation_id`),
    portSecurityEnabled: column("boolean", sql`n.is_port_security_enabled`),
    isDefault: column("boolean", sql`n.is_default`),
    dnsDomain: column("text", sql`n.dns_domain`),
    availabilityZoneHints: column("other", sql`n.availability_zone_hints`),
    ipv4AddressScope: column("uuid", addressScope(4)),
    ipv6AddressScope: column("uuid", addressScope(6)),
  }
}

function addressScope(version: 4 | 6): RawBuilder<unknown> {
  return sql`(select p.address_scope_id from network.subnet s join network.subnet_pool p on p.id = s.subnet_pool_id
    where s.network_id = n.id and s.ip_version = ${sql.lit(version)} limit 1)`
}

/** By each of these a network may be known. */
export const networkActions = ["access_as_shared", "access_as_external"] as const

export function networkSource(viewer: Viewer): Source {
  return {
    table: sql`network.network`,
    alias: "n",
    columns: networkColumns(viewer),
    visible: visibleTo(viewer, {
      owner: sql`n.project_id`,
      shared: { objectType: "network", objectId: id, actions: networkActions },
    }),
    markerFault: networkNotFound,
  }
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
