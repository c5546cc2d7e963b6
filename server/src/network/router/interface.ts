// Attaches subnets to routers and takes them off.

import { sql } from "kysely"
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"
import { parseAddress, parsePrefix, prefixContains } from "../../platform/net/address.ts"
import { operation } from "../../platform/operation/operation.ts"
import { asksOf, enforceQuota } from "../../quota/index.ts"
import {
  addressInUse,
  badRequest,
  interfaceNeededByFloatingIp,
  interfaceNeededByRoute,
  interfaceNotFound,
  interfaceNotFoundForSubnet,
  portInUse,
  portNotFound,
  routerNotFound,
  subnetMismatch,
  subnetNotFound,
} from "../faults.ts"
import { takeAddress } from "../ipam/allocate.ts"
import { insertPort } from "../port/insert.ts"
import { isReservedOwner } from "../port/port.ts"
import { loadPort } from "../port/read.ts"
import { networkQuota } from "../quota.ts"
import { notify } from "../resource/notify.ts"
import { bumpRevision, change, lockRow, updateRow } from "../resource/standard.ts"
import { viewerOf } from "../resource/viewer.ts"
import { loadSubnet } from "../subnet/read.ts"
import type { Subnet } from "../subnet/subnet.ts"
import { loadRouter } from "./read.ts"
import { type Router, routerTarget } from "./router.ts"

export interface RouterInterface {
  routerId: string
  projectId: string
  portId: string
  networkId: string
  subnetId: string
  subnetIds: string[]
  tags: string[]
}

const bad = (why: string) => badRequest(`Bad router request: ${why}.`)
const InterfaceInput = Type.Object({
  routerId: Type.String(),
  subnetId: Type.Optional(Type.String()),
  portId: Type.Optional(Type.String()),
})

export const addRouterInterface = operation({
  name: "network.router.add_interface",
  input: InterfaceInput,
  faults: [routerNotFound, subnetNotFound, portNotFound, badRequest, portInUse, addressInUse],
  load: (ctx, { routerId }) => loadRouter(ctx.db, routerId, viewerOf(ctx)),
  rule: "add_router_interface",
  target: (_ctx, _input, router) => routerTarget(router),
  run: async (ctx, { routerId, subnetId, portId }) => {
    if (subnetId === undefined && portId === undefined)
      throw bad("Either subnet_id or port_id must be specified")
    if (subnetId !== undefined && portId !== undefined) throw bad("Cannot specify both subnet-id and port-id")
    return await change(ctx, async (tx) => {
      await lockRow(tx, "router", routerId, routerNotFound)
      const router = await loadRouter(tx, routerId)
      const made =
        subnetId === undefined
          ? await attachPort(ctx, tx, router, portId ?? "")
          : await attachSubnet(ctx, tx, router, subnetId)
      await bumpRevision(tx, "router", [routerId])
      await notify(ctx, tx, "router.interface", "create", [{ ...made, id: routerId }])
      return made
    })
  },
})

/** The router's row is locked (or new) in this transaction. */
export async function attachSubnet(
  ctx: Ctx,
  tx: Tx,
  router: Router,
  subnetId: string,
): Promise<RouterInterface> {
  const subnet = await loadSubnet(tx, subnetId, viewerOf(ctx))
  if (subnet.gatewayIp === null) throw bad("Subnet for router interface must have a gateway IP")
  await checkSubnets(tx, router, [subnet])
  const shared = subnet.ipVersion === 6 ? await ipv6Interface(tx, router.id, subnet.networkId) : undefined
  let portId = shared?.portId
  if (shared) {
    const allocation = {
      subnetId,
      networkId: subnet.networkId,
      portId: shared.portId,
      position: shared.count,
    }
    if (!(await takeAddress(tx, allocation, subnet.gatewayIp)))
      throw addressInUse(subnet.gatewayIp, `subnet ${subnetId}`)
    await bumpRevision(tx, "port", [shared.portId])
  } else {
    await enforceQuota(ctx, tx, networkQuota, asksOf([router.projectId], { port: 1 }))
    const port = await insertPort(tx, {
      networkId: subnet.networkId,
      projectId: router.projectId,
      deviceId: router.id,
      deviceOwner: "network:router_interface",
      portSecurityEnabled: false,
      fixedIps: [{ subnetId, ipAddress: subnet.gatewayIp }],
    })
    portId = port.id
  }
  return await linkInterface(tx, router, portId ?? "", subnet.networkId, [subnetId])
}

/** A router has one port for all IPv6 subnets of a network. */
async function ipv6Interface(
  tx: Tx,
  routerId: string,
  networkId: string,
): Promise<{ portId: string; count: number } | undefined> {
  const { rows } = await sql<{ portId: string; count: number }>`
    select p.id as "portId", count(*)::integer as count from network.port p
    join network.ip_allocation a on a.port_id = p.id
    where p.device_id = ${routerId} and p.device_owner = 'network:router_interface' and p.network_id = ${networkId}
    group by p.id having bool_and(family(a.address) = 6) limit 1`.execute(tx)
  return rows[0]
}

async function attachPort(ctx: Ctx, tx: Tx, router: Router, portId: string): Promise<RouterInterface> {
  const seen = await loadPort(tx, portId, viewerOf(ctx))
  await lockRow(tx, "port", seen.id, portNotFound)
  const port = await loadPort(tx, portId)
  const isFree = port.serverId === null && (port.deviceId === "" || port.deviceId === router.id)
  if (!isFree || isReservedOwner(port.deviceOwner)) throw portInUse(port.id, port.networkId, port.deviceId)
  if (port.fixedIps.length === 0) throw bad("Router port must have at least one fixed IP")
  const subnets: Subnet[] = []
  for (const ip of port.fixedIps) subnets.push(await loadSubnet(tx, ip.subnetId))
  if (subnets.filter((s) => s.ipVersion === 4).length > 1)
    throw bad("Cannot have multiple IPv4 subnets on router port")
  await checkSubnets(tx, router, subnets)
  await sql`delete from network.port_security_group where port_id = ${port.id}`.execute(tx)
  await updateRow(tx, "port", port.id, {
    device_id: router.id,
    device_owner: "network:router_interface",
    is_port_security_enabled: false,
    allowed_address_pairs: "[]",
  })
  return await linkInterface(
    tx,
    router,
    port.id,
    port.networkId,
    subnets.map((s) => s.id),
  )
}

/** The router must not be on the subnet already, nor on another one with the same addresses. */
async function checkSubnets(tx: Tx, router: Router, added: readonly Subnet[]): Promise<void> {
  const cidrs = added.map((s) => s.cidr)
  const { rows } = await sql<{ id: string; cidr: string; added: string }>`
    select s.id, s.cidr::text as cidr, c.cidr::text as added from (
      select i.subnet_id from network.router_interface i where i.router_id = ${router.id}
      union select a.subnet_id from network.ip_allocation a where a.port_id = ${router.gateway?.portId ?? null}::uuid
    ) used join network.subnet s on s.id = used.subnet_id
    join unnest(${cidrs}::cidr[]) c(cidr) on c.cidr && s.cidr`.execute(tx)
  for (const row of rows) {
    if (added.some((s) => s.id === row.id)) throw bad(`Router already has a port on subnet ${row.id}`)
    const other = added.find((s) => s.cidr === row.added)
    throw bad(`Cidr ${row.added} of subnet ${other?.id} overlaps with cidr ${row.cidr} of subnet ${row.id}`)
  }
}

async function linkInterface(
  tx: Tx,
  router: Router,
  portId: string,
  networkId: string,
  subnetIds: string[],
): Promise<RouterInterface> {
  await tx
    .insertInto("network.router_interface")
    .values(subnetIds.map((subnet_id) => ({ router_id: router.id, subnet_id, port_id: portId })))
    .execute()
  return interfaceView(router, portId, networkId, subnetIds)
}

function interfaceView(
  router: Router,
  portId: string,
  networkId: string,
  subnetIds: string[],
): RouterInterface {
  return {
    routerId: router.id,
    projectId: router.projectId,
    portId,
    networkId,
    subnetId: subnetIds[0] ?? "",
    subnetIds,
    tags: router.tags,
  }
}

interface InterfaceRow {
  portId: string
  subnetId: string
  networkId: string
}

export const removeRouterInterface = operation({
  name: "network.router.remove_interface",
  input: InterfaceInput,
  faults: [
    routerNotFound,
    badRequest,
    interfaceNotFound,
    interfaceNotFoundForSubnet,
    subnetMismatch,
    interfaceNeededByFloatingIp,
    interfaceNeededByRoute,
  ],
  load: (ctx, { routerId }) => loadRouter(ctx.db, routerId, viewerOf(ctx)),
  rule: "remove_router_interface",
  target: (_ctx, _input, router) => routerTarget(router),
  run: async (ctx, { routerId, subnetId, portId }) => {
    if (subnetId === undefined && portId === undefined)
      throw bad("Either subnet_id or port_id must be specified")
    return await change(ctx, async (tx) => {
      await lockRow(tx, "router", routerId, routerNotFound)
      const router = await loadRouter(tx, routerId)
      const { rows } = await sql<InterfaceRow>`select i.port_id as "portId", i.subnet_id as "subnetId",
          s.network_id as "networkId" from network.router_interface i join network.subnet s on s.id = i.subnet_id
        where i.router_id = ${routerId}`.execute(tx)
      const removed = chooseRemoved(router, rows, subnetId, portId)
      for (const row of removed) await checkNotNeeded(tx, router, row.subnetId)
      await detach(tx, routerId, rows, removed)
      await bumpRevision(tx, "router", [routerId])
      const [first] = removed
      const removedView = interfaceView(
        router,
        first?.portId ?? "",
        first?.networkId ?? "",
        removed.map((row) => row.subnetId),
      )
      await notify(ctx, tx, "router.interface", "delete", [{ ...removedView, id: routerId }])
      return removedView
    })
  },
})

function chooseRemoved(
  router: Router,
  rows: readonly InterfaceRow[],
  subnetId: string | undefined,
  portId: string | undefined,
): InterfaceRow[] {
  if (portId === undefined) {
    const found = rows.filter((row) => row.subnetId === subnetId)
    if (found.length === 0) throw interfaceNotFoundForSubnet(router.id, subnetId ?? "")
    return found
  }
  const ofPort = rows.filter((row) => row.portId === portId)
  if (ofPort.length === 0) throw interfaceNotFound(router.id, portId)
  if (subnetId !== undefined && !ofPort.some((row) => row.subnetId === subnetId))
    throw subnetMismatch(portId, subnetId)
  return ofPort
}

/** The port goes, unless it serves other subnets too. */
async function detach(
  tx: Tx,
  routerId: string,
  rows: readonly InterfaceRow[],
  removed: readonly InterfaceRow[],
): Promise<void> {
  const subnetIds = removed.map((row) => row.subnetId)
  await sql`delete from network.router_interface where router_id = ${routerId}
    and subnet_id = any(${subnetIds}::uuid[])`.execute(tx)
  for (const portId of new Set(removed.map((row) => row.portId))) {
    const isLast = rows
      .filter((row) => row.portId === portId)
      .every((row) => subnetIds.includes(row.subnetId))
    if (isLast) {
      await sql`delete from network.port where id = ${portId}`.execute(tx)
    } else {
      await sql`delete from network.ip_allocation where port_id = ${portId}
        and subnet_id = any(${subnetIds}::uuid[])`.execute(tx)
      await bumpRevision(tx, "port", [portId])
    }
  }
}

async function checkNotNeeded(tx: Tx, router: Router, subnetId: string): Promise<void> {
  const subnet = await loadSubnet(tx, subnetId)
  const { rows } = await sql`select from network.floating_ip f
    left join network.port_forwarding w on w.floating_ip_id = f.id
    where f.router_id = ${router.id}
      and coalesce(f.fixed_ip_address, w.internal_ip_address) <<= ${subnet.cidr}::cidr limit 1`.execute(tx)
  if (rows.length > 0) throw interfaceNeededByFloatingIp(router.id, subnetId)
  const prefix = parsePrefix(subnet.cidr)
  for (const route of router.routes) {
    const nexthop = parseAddress(route.nexthop)
    if (prefix && nexthop && prefixContains(prefix, nexthop))
      throw interfaceNeededByRoute(router.id, subnetId)
  }
}
