import { sql } from "kysely"
import { Type } from "typebox"
import type { Tx } from "../../platform/db/database.ts"
import { parsePrefix } from "../../platform/net/address.ts"
import { operation } from "../../platform/operation/operation.ts"
import { badRequest, gatewayInUse, revisionMismatch, subnetNotFound } from "../faults.ts"
import { refreshServicePort } from "../port/service-port.ts"
import { notify } from "../resource/notify.ts"
import { bumpRevision, change, lockRow, RevisionInput, updateRow } from "../resource/standard.ts"
import { viewerOf } from "../resource/viewer.ts"
import { noteChanged } from "../sync/changes.ts"
import { checkServices, insertPools } from "./create.ts"
import { checkGateway, checkGatewayOutsidePools, checkPools } from "./plan.ts"
import { loadSubnet } from "./read.ts"
import { type Subnet, subnetNoun, subnetTarget } from "./subnet.ts"

export const updateSubnet = operation({
  name: "network.subnet.update",
  input: Type.Object({
    id: Type.String(),
    expectedRevision: RevisionInput,
    changes: subnetNoun.changes,
  }),
  faults: [subnetNotFound, badRequest, gatewayInUse, revisionMismatch],
  load: (ctx, { id }) => loadSubnet(ctx.db, id, viewerOf(ctx)),
  rule: "update_subnet",
  target: (_ctx, _input, subnet) => subnetTarget(subnet),
  run: async (ctx, { id: subnetId, expectedRevision, changes }) =>
    await change(ctx, async (tx) => {
      await lockRow(tx, "subnet", subnetId, subnetNotFound, expectedRevision)
      const viewer = { ...viewerOf(ctx), seesAll: true }
      const subnet = await loadSubnet(tx, subnetId, viewer)
      checkServices(subnetId, changes, ctx.config.network)
      const prefix = parsePrefix(subnet.cidr)
      if (!prefix) throw new Error(`subnet ${subnetId} has cidr ${subnet.cidr}`)
      const gatewayIp = changes.gatewayIp ? checkGateway(prefix, changes.gatewayIp) : changes.gatewayIp
      const pools = changes.allocationPools && checkPools(prefix, changes.allocationPools)
      checkGatewayOutsidePools(
        gatewayIp === undefined ? subnet.gatewayIp : gatewayIp,
        pools ?? subnet.allocationPools,
      )
      if (gatewayIp !== undefined && gatewayIp !== subnet.gatewayIp) await checkGatewayFree(tx, subnet)
      if (changes.enableDhcp === false && (subnet.ipv6RaMode || subnet.ipv6AddressMode)) {
        throw badRequest(
          "Invalid input for operation: ipv6_ra_mode or ipv6_address_mode cannot be set when enable_dhcp is set to False.",
        )
      }
      await updateRow(tx, "subnet", subnetId, {
        name: changes.name,
        description: changes.description,
        gateway_ip: gatewayIp,
        is_dhcp_enabled: changes.enableDhcp,
        dns_nameservers: changes.dnsNameservers,
        host_routes: changes.hostRoutes && JSON.stringify(changes.hostRoutes),
        service_types: changes.serviceTypes,
        is_dns_published: changes.dnsPublishFixedIp,
      })
      if (pools) {
        await sql`delete from network.allocation_pool where subnet_id = ${subnetId}`.execute(tx)
        await insertPools(tx, subnetId, pools)
      }
      await bumpRevision(tx, "network", [subnet.networkId])
      await refreshServicePort(ctx, tx, subnet.networkId)
      if (gatewayIp !== undefined) await noteRoutersOut(tx, subnetId)
      const changed = await loadSubnet(tx, subnetId, viewer)
      await notify(ctx, tx, "subnet", "update", [changed])
      return changed
    }),
})

/** Routers whose way out leads through the subnet's gateway. */
async function noteRoutersOut(tx: Tx, subnetId: string): Promise<void> {
  const { rows } = await sql<{ id: string }>`select p.device_id as id from network.ip_allocation a
    join network.port p on p.id = a.port_id and p.device_owner = 'network:router_gateway'
    where a.subnet_id = ${subnetId}`.execute(tx)
  noteChanged(tx, { routers: rows.map((row) => row.id) })
}

/** A router that holds the old gateway address would be cut off from its machines. */
async function checkGatewayFree(tx: Tx, subnet: Subnet): Promise<void> {
  if (subnet.gatewayIp === null) return
  const { rows } = await sql<{ portId: string }>`select a.port_id as "portId" from network.ip_allocation a
    join network.port p on p.id = a.port_id
    where a.subnet_id = ${subnet.id} and a.address = ${subnet.gatewayIp}
      and p.device_owner = 'network:router_interface'`.execute(tx)
  if (rows[0]) throw gatewayInUse(subnet.gatewayIp, rows[0].portId)
}
