import { sql } from "kysely"
import type { PolicyTarget } from "../../platform/policy/rule.ts"
import { routerNotFound } from "../faults.ts"
import type { FixedIp } from "../port/port.ts"
import { column, filterOnly, type Source, standardColumns } from "../resource/list.ts"
import type { Described } from "../resource/standard.ts"
import type { Viewer } from "../resource/viewer.ts"
import type { HostRoute } from "../subnet/subnet.ts"

export interface RouterGateway {
  networkId: string
  portId: string
  externalFixedIps: FixedIp[]
}

export interface Router extends Described {
  adminStateUp: boolean
  status: string
  enableSnat: boolean
  gateway: RouterGateway | null
  routes: HostRoute[]
  availabilityZoneHints: string[]
}

export function routerSource(viewer: Viewer): Source {
  return {
    from: sql`network.router r`,
    columns: {
      ...standardColumns("r"),
      name: column("text", sql`r.name`),
      adminStateUp: column("boolean", sql`r.is_admin_up`),
      status: column("text", sql`r.status`),
      enableSnat: column("boolean", sql`r.is_snat_enabled`),
      gateway: column(
        "other",
        sql`(select json_build_object('networkId', g.network_id, 'portId', g.id, 'externalFixedIps',
            (select coalesce(json_agg(json_build_object('subnetId', a.subnet_id, 'ipAddress', host(a.address))
              order by a.position), '[]') from network.ip_allocation a where a.port_id = g.id))
          from network.port g where g.device_id = r.id::text and g.device_owner = 'network:router_gateway')`,
      ),
      gatewayNetworkId: filterOnly(
        (v) =>
          sql<boolean>`exists (select from network.port g where g.device_id = r.id::text
            and g.device_owner = 'network:router_gateway' and g.network_id::text = any(${v}::text[]))`,
      ),
      routes: column("other", sql`r.routes`),
      availabilityZoneHints: column("other", sql`r.availability_zone_hints`),
    },
    where: viewer.seesAll ? sql<boolean>`true` : sql<boolean>`r.project_id = ${viewer.projectId}`,
    markerFault: routerNotFound,
  }
}

export function routerTarget(router: { projectId: string }): PolicyTarget {
  return { project_id: router.projectId, tenant_id: router.projectId }
}
