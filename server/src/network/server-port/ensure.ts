// Ports of servers: made or adopted, bound to the host of the server, let go of. Every verb is repeatable.
import { sql } from "kysely"
import type { Ctx } from "../../platform/context/context.ts"
import { afterCommit, type DbOrTx, type Tx, transact } from "../../platform/db/database.ts"
import { isUuid } from "../../platform/ids/ids.ts"
import { asksOf, enforceQuota, enforceQuotaOfMade } from "../../quota/index.ts"
import { ensureAutoTopology } from "../auto-topology/auto-topology.ts"
import { releaseFloatingIpsOf } from "../floating-ip/disassociate.ts"
import type { Network } from "../network/network.ts"
import { loadNetwork } from "../network/read.ts"
import { insertPort } from "../port/insert.ts"
import { networkQuota } from "../quota.ts"
import { againWhenGone } from "../resource/gone.ts"
import { change, tellEngine } from "../resource/standard.ts"
import { noteChanged } from "../sync/changes.ts"
import { syncOf } from "../sync/sync.ts"
import { interfaceMissing, serverPortMissing, serverPortTaken } from "./faults.ts"
import {
  checkServerNetworks,
  type InterfaceRequest,
  type NetworksRequest,
  resolveGroups,
  resolveRequests,
} from "./plan.ts"
import { listServerPorts } from "./read.ts"

export interface ServerOfPorts {
  serverId: string
  projectId: string
  userId: string
  hostname: string
  host: string
  /** Null: the default zone. */
  availabilityZone?: string | null
}

export interface EnsureServerPorts extends ServerOfPorts {
  networks: NetworksRequest
  /** Names or ids; empty means the project's default group. */
  securityGroups: readonly string[]
}

/** What a hypervisor needs to plug the port in, and what the server shows. */
export interface ServerVif {
  portId: string
  networkId: string
  networkName: string
  macAddress: string
  mtu: number
  fixedIps: { subnetId: string; ipAddress: string }[]
  vnicType: string
  tag: string | null
}

interface OwnPort {
  id: string
  index: number
}

async function portsOf(tx: Tx, serverId: string): Promise<OwnPort[]> {
  const { rows } = await sql<OwnPort>`select id, server_interface_index as index from network.port
    where server_id = ${serverId} order by server_interface_index for update`.execute(tx)
  return rows
}

/**
 * Makes the interfaces that the server asked for and binds all that it has to the host. When it returns, the engine
 * has taken them.
 */
export async function ensureServerPorts(ctx: Ctx, want: EnsureServerPorts): Promise<ServerVif[]> {
  const planned = await planServerPorts(ctx, want)
  const vifs = await againWhenGone(() => transact(ctx.db, (tx) => makeServerPorts(ctx, tx, planned)))
  if (vifs.length > 0)
    await settleNetwork(
      ctx,
      vifs.map((vif) => vif.portId),
    )
  return vifs
}

/** Resolves when the engine has taken these ports as they were committed before, in this process. */
export async function settleNetwork(ctx: Ctx, portIds: readonly string[]): Promise<void> {
  await syncOf(ctx).settle({ ports: portIds })
}

export interface PlannedServerPorts {
  want: EnsureServerPorts
  ports: PlannedPort[]
  groups: string[]
}

/** The quota's lock holds up the project's other servers: what can be known before it is known here. */
export async function planServerPorts(ctx: Ctx, want: EnsureServerPorts): Promise<PlannedServerPorts> {
  const [groups, ports] = await Promise.all([
    want.networks === "none" ? [] : resolveGroups(ctx, want.projectId, want.securityGroups),
    planPorts(ctx, want),
  ])
  return { want, ports, groups }
}

/** The engine is told after the commit; `settleNetwork` waits for it. */
export async function makeServerPorts(ctx: Ctx, tx: Tx, planned: PlannedServerPorts): Promise<ServerVif[]> {
  const { want, ports, groups } = planned
  await lockServer(tx, want.serverId)
  const have = await portsOf(tx, want.serverId)
  // Networks are chosen once: a network made later must not make the choice ambiguous.
  if (have.length === 0) {
    const own = ports.filter(({ request }) => request.portId === null)
    for (const [index, { request, network }] of ports.entries())
      await addPort(tx, want, { request, network, index, groups })
    const owners = own.map(() => want.projectId)
    await enforceQuotaOfMade(ctx, tx, networkQuota, asksOf(owners, { port: 1 }))
  } else await bindAll(tx, want)
  const vifs = await vifsOf(tx, want.serverId)
  afterCommit(tx, () => syncOf(ctx).poke({ ports: vifs.map((vif) => vif.portId) }))
  return vifs
}

interface PlannedPort {
  request: InterfaceRequest
  /** Of a port that is to be made. */
  network: Network | null
}

/** What is to be made; nothing when the server has its ports already. */
async function planPorts(ctx: Ctx, want: EnsureServerPorts): Promise<PlannedPort[]> {
  if (want.networks === "none") return []
  if (!Array.isArray(want.networks)) {
    // Whoever has its ports must not fail because there are more networks to choose from now.
    if ((await listServerPorts(ctx, want.serverId)).length > 0) return []
  }
  const requests = await resolveRequests(ctx.db, want.projectId, want.networks, async () => {
    const { networkId } = await ensureAutoTopology(ctx, want.projectId)
    return networkId
  })
  const plan: PlannedPort[] = []
  for (const request of requests) plan.push(await planPort(ctx, request))
  return plan
}

async function planPort(ctx: Ctx, request: InterfaceRequest): Promise<PlannedPort> {
  const isNew = request.portId === null
  return { request, network: isNew ? await loadNetwork(ctx.db, request.networkId ?? "") : null }
}

/** Two workers that hold the same server for a moment must not both make its ports. */
async function lockServer(tx: Tx, serverId: string): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtextextended(${`network.server:${serverId}`}, 0))`.execute(tx)
}

/** The device is what people see; they may have written over it. */
async function bindAll(tx: Tx, server: ServerOfPorts): Promise<void> {
  const owner = deviceOwner(server)
  await sql`update network.port set host_id = ${server.host}, device_id = ${server.serverId},
      device_owner = ${owner},
      status = case when host_id = ${server.host} then status else 'DOWN' end,
      generation = generation + 1, updated_at = now()
    where server_id = ${server.serverId}
      and (host_id <> ${server.host} or device_id <> ${server.serverId} or device_owner <> ${owner})`.execute(
    tx,
  )
}

/** Every interface of the server, in order. */
async function vifsOf(db: DbOrTx, serverId: string): Promise<ServerVif[]> {
  const { rows } =
    await sql<ServerVif>`select p.id as "portId", p.network_id as "networkId", n.name as "networkName",
      p.mac_address::text as "macAddress", n.mtu, p.vnic_type as "vnicType", p.server_interface_tag as tag,
      (select coalesce(json_agg(json_build_object('subnetId', a.subnet_id, 'ipAddress', host(a.address))
        order by a.position), '[]') from network.ip_allocation a where a.port_id = p.id) as "fixedIps"
    from network.port p join network.network n on n.id = p.network_id
    where p.server_id = ${serverId} order by p.server_interface_index`.execute(db)
  return rows
}

function deviceOwner(server: ServerOfPorts): string {
  return `compute:${server.availabilityZone ?? "nova"}`
}

interface NewInterface extends PlannedPort {
  index: number
  groups: readonly string[]
}

async function addPort(tx: Tx, server: ServerOfPorts, want: NewInterface): Promise<string> {
  const { request, network, index, groups } = want
  if (!network) return await adoptPort(tx, server, request, index)
  const { id } = await insertPort(tx, {
    networkId: network.id,
    projectId: server.projectId,
    deviceId: server.serverId,
    deviceOwner: deviceOwner(server),
    hostId: server.host,
    dnsName: server.hostname,
    portSecurityEnabled: network.portSecurityEnabled,
    securityGroups: network.portSecurityEnabled ? groups : [],
    serverInterface: { serverId: server.serverId, index, tag: request.tag },
    ...(request.fixedIp === null ? {} : { fixedIps: [{ ipAddress: request.fixedIp }] }),
  })
  return id
}

async function adoptPort(
  tx: Tx,
  server: ServerOfPorts,
  request: InterfaceRequest,
  index: number,
): Promise<string> {
  const portId = request.portId ?? ""
  if (!isUuid(portId)) throw serverPortMissing(portId)
  // Taken by whoever finds it free: that is the whole decision. A port that names a device is not free.
  const { rows } = await sql<{ id: string }>`update network.port set server_id = ${server.serverId},
      device_id = ${server.serverId},
      device_owner = ${deviceOwner(server)}, host_id = ${server.host}, server_interface_index = ${index},
      server_interface_tag = ${request.tag}, dns_name = coalesce(nullif(dns_name, ''), ${server.hostname}),
      generation = generation + 1, updated_at = now()
    where id = ${portId} and project_id = ${server.projectId} and server_id is null and device_id = ''
    returning id`.execute(tx)
  noteChanged(tx, { ports: [portId] })
  if (rows[0]) return rows[0].id
  const { rows: there } = await sql`select from network.port
    where id = ${portId} and project_id = ${server.projectId}`.execute(tx)
  throw there.length > 0 ? serverPortTaken(portId) : serverPortMissing(portId)
}

export interface AttachInterface extends ServerOfPorts, InterfaceRequest {}

export interface PlannedInterface {
  want: AttachInterface
  port: PlannedPort
  groups: string[]
}

/** Looks at what one more interface needs, and refuses what can be known to be wrong. */
export async function planServerInterface(ctx: Ctx, want: AttachInterface): Promise<PlannedInterface> {
  const { projectId, networkId, portId, fixedIp, tag } = want
  const request = { networkId, portId, fixedIp, tag }
  const isNamed = networkId !== null || portId !== null
  const asked: NetworksRequest = isNamed ? [request] : null
  await checkServerNetworks(ctx, { projectId, networks: asked, securityGroups: [], minCount: 1, maxCount: 1 })
  const groups = await resolveGroups(ctx, projectId, [])
  const [chosen] = await resolveRequests(ctx.db, projectId, asked, async () => null)
  if (!chosen) throw serverPortMissing("")
  return { want, port: await planPort(ctx, { ...chosen, fixedIp, tag }), groups }
}

/** One more interface for a server, ready to be plugged once `settleNetwork` has seen it. */
export async function attachServerInterface(ctx: Ctx, tx: Tx, planned: PlannedInterface): Promise<ServerVif> {
  const { want, port, groups } = planned
  await lockServer(tx, want.serverId)
  const have = await portsOf(tx, want.serverId)
  if (port.network) await enforceQuota(ctx, tx, networkQuota, asksOf([want.projectId], { port: 1 }))
  const index = Math.max(-1, ...have.map((each) => each.index)) + 1
  const id = await addPort(tx, want, { ...port, index, groups })
  noteChanged(tx, { ports: [id] })
  tellEngine(ctx, tx)
  const vif = (await vifsOf(tx, want.serverId)).find((v) => v.portId === id)
  if (!vif) throw interfaceMissing(id)
  return vif
}

/**
 * Takes the interface off: a port that compute made goes, one that the user brought is the user's again. Nothing
 * happens when the server does not have it.
 */
export async function detachServerInterface(
  ctx: Ctx,
  tx: Tx,
  { serverId, portId }: { serverId: string; portId: string },
): Promise<void> {
  await letGo(
    tx,
    (await portsOf(tx, serverId)).filter((port) => port.id === portId).map((port) => port.id),
  )
  tellEngine(ctx, tx)
}

/** Of a server that is gone. */
export async function releaseServerPorts(ctx: Ctx, serverId: string): Promise<void> {
  await change(ctx, async (tx) => {
    const ids = (await portsOf(tx, serverId)).map((port) => port.id)
    await letGo(tx, ids)
    return ids
  })
}

async function letGo(tx: Tx, portIds: readonly string[]): Promise<void> {
  if (portIds.length === 0) return
  noteChanged(tx, { ports: portIds })
  const { rows } = await sql<{ id: string }>`select id from network.port
    where id = any(${portIds}::uuid[]) and is_made_by_compute`.execute(tx)
  for (const { id } of rows) await releaseFloatingIpsOf(tx, id)
  await sql`delete from network.port where id = any(${rows.map((row) => row.id)}::uuid[])`.execute(tx)
  await sql`update network.port set server_id = null, device_id = '', device_owner = '', host_id = '',
      binding_profile = '{}', server_interface_index = null, server_interface_tag = null, dns_name = '', status = 'DOWN',
      generation = generation + 1, updated_at = now()
    where id = any(${portIds}::uuid[])`.execute(tx)
}
