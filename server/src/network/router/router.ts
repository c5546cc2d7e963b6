import { sql } from "kysely"
import { Type } from "typebox"
import { isUuid } from "../../platform/ids/ids.ts"
import { boolean, filterOnly, inputOnly, structure, text, texts } from "../../platform/noun/field.ts"
import { type Create, noun, type Thing } from "../../platform/noun/noun.ts"
import type { PolicyTarget } from "../../platform/policy/rule.ts"
import { routerNotFound } from "../faults.ts"
import { FixedIp, FixedIpInput } from "../port/port.ts"
import { descriptionField, ownedFields, tagFields } from "../resource/standard.ts"
import type { Viewer } from "../resource/viewer.ts"
import { visibleTo } from "../resource/visible.ts"
import { HostRoute } from "../subnet/subnet.ts"

const RouterGateway = Type.Object({
  networkId: Type.String(),
  portId: Type.String(),
  externalFixedIps: Type.Array(FixedIp),
  qosPolicyId: Type.Union([Type.String(), Type.Null()]),
})
export type RouterGateway = Type.Static<typeof RouterGateway>

export const GatewayInput = Type.Object({
  networkId: Type.String(),
  enableSnat: Type.Optional(Type.Boolean()),
  externalFixedIps: Type.Optional(Type.Array(FixedIpInput)),
  qosPolicyId: Type.Optional(Type.Union([Type.String(), Type.Null()])),
})

/** An administrator may write anything into the device of a port. */
const uuidPattern = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"

export const routerNoun = noun({
  name: "network.router",
  table: sql`network.router`,
  alias: "r",
  fields: {
    ...ownedFields("r"),
    description: descriptionField("r"),
    ...tagFields("r"),
    name: text(sql`r.name`, { create: true, update: true, filter: true, sort: true }),
    adminStateUp: boolean(sql`r.is_admin_up`, { create: true, update: true, filter: true, sort: true }),
    status: text(sql`r.status`, { filter: true, sort: true }),
    enableSnat: boolean(sql`r.is_snat_enabled`, { internal: true }),
    gateway: structure(
      Type.Union([RouterGateway, Type.Null()]),
      sql`(select json_build_object('networkId', g.network_id, 'portId', g.id, 'qosPolicyId', g.qos_policy_id, 'externalFixedIps',
          (select coalesce(json_agg(json_build_object('subnetId', a.subnet_id, 'ipAddress', host(a.address))
            order by a.position), '[]') from network.ip_allocation a where a.port_id = g.id))
        from network.port g where g.device_id = r.id::text and g.device_owner = 'network:router_gateway')`,
      { internal: true },
    ),
    /** Null takes the gateway away. */
    externalGatewayInfo: inputOnly(Type.Union([GatewayInput, Type.Null()]), { create: true, update: true }),
    gatewayNetworkId: filterOnly(
      (v) =>
        sql<boolean>`r.id = any(array(select case when g.device_id ~ ${uuidPattern} then g.device_id::uuid end
          from network.port g where g.device_owner = 'network:router_gateway'
            and g.network_id = any(${v.filter(isUuid)}::uuid[])))`,
    ),
    routes: structure(Type.Array(HostRoute), sql`r.routes`, { update: true }),
    availabilityZoneHints: texts(sql`r.availability_zone_hints`, { create: true }),
  },
  visible: (viewer: Viewer) => visibleTo(viewer, { owner: sql`r.project_id` }),
  notFound: routerNotFound,
})

export type Router = Thing<typeof routerNoun>
export type RouterInput = Create<typeof routerNoun>

export function routerTarget(router: { projectId: string }): PolicyTarget {
  return { project_id: router.projectId, tenant_id: router.projectId }
}
