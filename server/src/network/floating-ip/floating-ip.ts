import { sql } from "kysely"
import { Type } from "typebox"
import { address, inputOnly, nullable, structure, text, uuid } from "../../platform/noun/field.ts"
import { type Create, noun, type Thing } from "../../platform/noun/noun.ts"
import type { PolicyTarget } from "../../platform/policy/rule.ts"
import { floatingIpNotFound } from "../faults.ts"
import { descriptionField, ownedFields, tagFields } from "../resource/standard.ts"
import type { Viewer } from "../resource/viewer.ts"
import { visibleTo } from "../resource/visible.ts"

const Forwarding = Type.Object({
  id: Type.String(),
  protocol: Type.String(),
  internalPort: Type.Union([Type.Integer(), Type.Null()]),
  externalPort: Type.Union([Type.Integer(), Type.Null()]),
  internalIpAddress: Type.String(),
  internalPortId: Type.String(),
})

const PortDetails = Type.Object({
  name: Type.String(),
  networkId: Type.String(),
  macAddress: Type.String(),
  adminStateUp: Type.Boolean(),
  status: Type.String(),
  deviceId: Type.String(),
  deviceOwner: Type.String(),
  /** The server that the port is bound to. */
  serverId: Type.Union([Type.String(), Type.Null()]),
})

export const floatingIpNoun = noun({
  name: "network.floating_ip",
  table: sql`network.floating_ip`,
  alias: "f",
  fields: {
    ...ownedFields("f"),
    description: descriptionField("f"),
    ...tagFields("f"),
    floatingNetworkId: uuid(sql`f.floating_network_id`, { create: "required", filter: true, sort: true }),
    /** Where the address is to come from, when none is asked for. */
    subnetId: inputOnly(Type.Union([Type.String(), Type.Null()]), { create: true }),
    floatingIpAddress: address(sql`f.address`, { create: true, filter: true, sort: true, rule: "write" }),
    floatingPortId: uuid(sql`f.floating_port_id`, { internal: true }),
    fixedIpAddress: nullable(
      address(sql`f.fixed_ip_address`, { create: true, update: true, filter: true, sort: true }),
    ),
    portId: nullable(uuid(sql`f.fixed_port_id`, { create: true, update: true, filter: true })),
    routerId: nullable(uuid(sql`f.router_id`, { filter: true, sort: true })),
    status: text(sql`f.status`, { filter: true, sort: true }),
    dnsName: text(sql`f.dns_name`, { create: true }),
    dnsDomain: text(sql`f.dns_domain`, { create: true }),
    qosPolicyId: nullable(uuid(sql`f.qos_policy_id`, { create: true, update: true })),
    /** Of its network: what it has without one of its own. */
    qosNetworkPolicyId: nullable(
      uuid(sql`(select n.qos_policy_id from network.network n where n.id = f.floating_network_id)`),
    ),
    portDetails: structure(
      Type.Union([PortDetails, Type.Null()]),
      sql`(select json_build_object('name', p.name, 'networkId', p.network_id, 'macAddress', p.mac_address,
          'adminStateUp', p.is_admin_up, 'status', p.status, 'deviceId', p.device_id, 'deviceOwner', p.device_owner,
          'serverId', p.server_id)
        from network.port p where p.id = f.fixed_port_id)`,
    ),
    portForwardings: structure(
      Type.Array(Forwarding),
      sql`(select coalesce(json_agg(json_build_object('id', w.id, 'protocol', w.protocol,
          'internalPort', case when w.internal_port_first = w.internal_port_last then w.internal_port_first end,
          'externalPort', case when w.external_port_first = w.external_port_last then w.external_port_first end,
          'internalIpAddress', host(w.internal_ip_address), 'internalPortId', w.internal_port_id)
          order by w.created_at, w.id), '[]')
        from network.port_forwarding w where w.floating_ip_id = f.id)`,
    ),
  },
  visible: (viewer: Viewer) => visibleTo(viewer, { owner: sql`f.project_id` }),
  notFound: floatingIpNotFound,
})

export type FloatingIp = Thing<typeof floatingIpNoun>
export type FloatingIpInput = Create<typeof floatingIpNoun>

export function floatingIpTarget(floatingIp: { projectId: string }): PolicyTarget {
  return { project_id: floatingIp.projectId, tenant_id: floatingIp.projectId }
}
