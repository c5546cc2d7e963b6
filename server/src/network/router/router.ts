import { sql } from "kysely"
import { isUuid } from "../../platform/ids/ids.ts"
import type { PolicyTarget } from "../../platform/policy/rule.ts"
import { routerNotFound } from "../faults.ts"
import type { FixedIp } from "../port/port.ts"
import { column, filterOnly, type Source, standardColumns } from "../resource/list.ts"
import type { Described } from "../resource/standard.ts"
import type { Viewer } from "../resource/viewer.ts"
import { visibleTo } from "../resource/visible.ts"
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

/** An administrator may write anything into the device of a port. */
const uuidPattern = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"

export function routerSource(viewer: Viewer): Source {
  return {
    table: sql`network.router`,
    alias: "r",
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
          sql<boolean>`r.id = any(array(select case when g.device_id ~ ${uuidPattern} then g.device_id::uuid end
            from network.port g where g.device_owner = 'network:router_gateway'
              and g.network_id = any(${v.filter(isUuid)}::uuid[])))`,
      ),
      routes: column("other", sql`r.routes`),
      availabilityZoneHints: column("other", sql`r.availability_zone_hints`),
    },
    visible: visibleTo(viewer, { owner: sql`r.project_id` }),
    markerFault: routerNotFound,
  }
}

export function routerTarget(router: { projectId: string }): PolicyTarget {
  return { project_id: router.projectId, tenant_id: router.projectId }
}
