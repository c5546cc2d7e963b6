import { sql } from "kysely"
import type { PolicyTarget } from "../../platform/policy/rule.ts"
import { floatingIpNotFound } from "../faults.ts"
import { column, type Source, standardColumns } from "../resource/list.ts"
import type { Standard } from "../resource/standard.ts"
import type { Viewer } from "../resource/viewer.ts"
import { visibleTo } from "../resource/visible.ts"

export interface PortDetails {
  name: string
  networkId: string
  macAddress: string
  adminStateUp: boolean
  status: string
  deviceId: string
  deviceOwner: string
  /** The server that the port is bound to. */
  serverId: string | null
}

export interface FloatingIp extends Standard {
  description: string
  tags: string[]
  floatingNetworkId: string
  floatingIpAddress: string
  floatingPortId: string
  fixedIpAddress: string | null
  portId: string | null
  routerId: string | null
  status: string
  dnsName: string
  dnsDomain: string
  portDetails: PortDetails | null
}

export function floatingIpSource(viewer: Viewer): Source {
  return {
    table: sql`network.floating_ip`,
    alias: "f",
    columns: {
      ...standardColumns("f"),
      floatingNetworkId: column("uuid", sql`f.floating_network_id`),
      floatingIpAddress: column("address", sql`f.address`),
      floatingPortId: column("uuid", sql`f.floating_port_id`),
      fixedIpAddress: column("address", sql`f.fixed_ip_address`),
      portId: column("uuid", sql`f.fixed_port_id`),
      routerId: column("uuid", sql`f.router_id`),
      status: column("text", sql`f.status`),
      dnsName: column("text", sql`f.dns_name`),
      dnsDomain: column("text", sql`f.dns_domain`),
      portDetails: column(
        "other",
        sql`(select json_build_object('name', p.name, 'networkId', p.network_id, 'macAddress', p.mac_address,
            'adminStateUp', p.is_admin_up, 'status', p.status, 'deviceId', p.device_id, 'deviceOwner', p.device_owner,
            'serverId', p.server_id)
          from network.port p where p.id = f.fixed_port_id)`,
      ),
    },
    visible: visibleTo(viewer, { owner: sql`f.project_id` }),
    markerFault: floatingIpNotFound,
  }
}

export function floatingIpTarget(floatingIp: { projectId: string }): PolicyTarget {
  return { project_id: floatingIp.projectId, tenant_id: floatingIp.projectId }
}
