// Ports of servers: made or adopted, bound to the host of the server, let go of. Every verb is repeatable.
import { sql } from "kysely"
import type { Ctx } from "../../platform/context/context.ts"
import { type DbOrTx, type Tx, transact } from "../../platform/db/database.ts"
import { isUuid } from "../../platform/ids/ids.ts"
import { asksOf, enforceQuotaOfMade } from "../../quota/index.ts"
import { physicalNetworksOfHost } from "../agent/physical-network.ts"
import { ensureAutoTopology } from "../auto-topology/auto-topology.ts"
import { releaseFloatingIpsOf } from "../floating-ip/release.ts"
import { type SubnetFacts, subnetFacts } from "../ipam/allocate.ts"
import { insertPort } from "../port/insert.ts"
import { networkQuota } from "../quota.ts"
import { change, pokeAfterCommit } from "../resource/standard.ts"
import { noteChanged } from "../sync/changes.ts"
import { arePortsUp } from "../sync/port-states.ts"
import { syncOf } from "../sync/sync.ts"
import {
  portsNotPlugged,
  serverGroupMissing,
  serverHostWithoutWay,
  serverNetworkMissing,
  serverPortMissing,
  serverPortTaken,
} from "./faults.ts"
import type { InterfaceRequest, PlannedServerPorts } from "./plan.ts"

/** What the network needs to know of a server. */
export interface ServerOfPorts {
  id: string
  projectId: string
  hostname: string
  /** Null: the default zone. */
  availabilityZone: string | null
}

/** What a hypervisor needs to plug the port in. */
export interface ServerVif {
  portId: string
  networkId: string
  macAddress: string
  mtu: number
}

/** Resolves when the engine has taken these ports as they were committed before, in this process. */
export async function settleNetwork(ctx: Ctx, portIds: readonly string[]): Promise<void> {
  if (portIds.length > 0) await syncOf(ctx).settle({ ports: portIds })
}

/** Resolves when packets can flow: the host has the interfaces, and its part of the network knows what to do with them. */
export async function awaitPlugged(
  ctx: Ctx,
  portIds: readonly string[],
  how: { withinMs: number; signal: AbortSignal },
): Promise<void> {
  if (how.withinMs > 0 && !(await arePortsUp(ctx, portIds, how))) throw portsNotPlugged()
}

export interface MakeServerPorts {
  server: ServerOfPorts
  host: string
  planned: PlannedServerPorts
}

/**
 * Makes the interfaces that were planned, or binds those that the server has already; of two at the same time one
 * succeeds. The engine is told after the commit; `settleNetwork` waits for it.
 */
export async function makeServerPorts(ctx: Ctx, tx: Tx, want: MakeServerPorts): Promise<ServerVif[]> {
  const ground = await readGround(ctx, tx, want)
  return ground.nextIndex === 0
    ? await addInterfaces(ctx, tx, want, ground)
    : await bindAll(ctx, tx, want.server, want.host)
}

/** More interfaces for a server, after those that it has; refused where its host cannot connect them. */
export async function attachServerInterfaces(ctx: Ctx, tx: Tx, want: MakeServerPorts): Promise<ServerVif[]> {
  const { server, host, planned } = want
  if (!(await hasWay(tx, host, planned.physicalNetworks ?? []))) throw serverHostWithoutWay(server.id)
  return await addInterfaces(ctx, tx, want, await readGround(ctx, tx, want))
}

async function hasWay(tx: Tx, host: string, physicalNetworks: readonly string[]): Promise<boolean> {
  if (physicalNetworks.length === 0) return true
  const { rows } = await sql<{ reached: string[] | null }>`
    select ${physicalNetworksOfHost(sql`${host}`)} as reached`.execute(tx)
  const reached = rows[0]?.reached ?? null
  return reached === null || physicalNetworks.every((each) => reached.includes(each))
}

/** Binds all that the server has to the host ("": to none). When it returns, the engine has taken them. */
export async function bindServerPorts(ctx: Ctx, server: ServerOfPorts, host: string): Promise<ServerVif[]> {
  const vifs = await transact(ctx.db, (tx) => bindAll(ctx, tx, server, host))
  await settleNetwork(
    ctx,
    vifs.map((vif) => vif.portId),
  )
  return vifs
}

interface NetworkFacts {
  id: string
  mtu: number
  isPortSecurityEnabled: boolean
}

/** What new interfaces stand on. */
interface Ground {
  interfaces: InterfaceRequest[]
  /** Of the server's next interface: 0 when it has none. */
  nextIndex: number
  networks: NetworkFacts[]
  /** Of these networks, in order. */
  subnets: SubnetFacts[]
  /** Of the planned groups those that are still there. */
  groupIds: string[]
}

/** As it is now, and stays until the transaction ends; one statement, as it is in the path of every creation. */
async function readGround(ctx: Ctx, tx: Tx, { server, planned }: MakeServerPorts): Promise<Ground> {
  const interfaces = await onNetworks(ctx, tx, server.projectId, planned.interfaces)
  const networkIds = interfaces.flatMap((request) => request.networkId ?? [])
  const { rows } = await sql<Omit<Ground, "interfaces">>`
    with networks as (
      select id, mtu, is_port_security_enabled from network.network
      where id = any(${networkIds}::uuid[]) for key share
    ), groups as (
      select id from network.security_group where id = any(${planned.securityGroupIds}::uuid[]) for key share
    )
    select coalesce((select max(server_interface_index) + 1 from network.port where server_id = ${server.id}), 0)
        as "nextIndex",
      (select coalesce(json_agg(json_build_object('id', id, 'mtu', mtu,
        'isPortSecurityEnabled', is_port_security_enabled)), '[]') from networks) as networks,
      array(select id::text from groups) as "groupIds",
      (select coalesce(json_agg(s), '[]') from (${subnetFacts(networkIds)}) s) as subnets`.execute(tx)
  const [ground] = rows
  if (!ground) throw new Error("a select without a table gives a row")
  return { ...ground, interfaces }
}

/** Where no network was named the project's own one is meant, which is made when it is not there yet. */
async function onNetworks(
  ctx: Ctx,
  tx: Tx,
  projectId: string,
  interfaces: readonly InterfaceRequest[],
): Promise<InterfaceRequest[]> {
  const isNamed = (request: InterfaceRequest) => request.networkId !== null || request.portId !== null
  if (interfaces.every(isNamed)) return [...interfaces]
  const { networkId } = await ensureAutoTopology(ctx, tx, projectId)
  return interfaces.map((request) => (isNamed(request) ? request : { ...request, networkId }))
}

/** The device is what people see; they may have written over it. */
async function bindAll(ctx: Ctx, tx: Tx, server: ServerOfPorts, host: string): Promise<ServerVif[]> {
  const owner = deviceOwner(server)
  const { id: serverId } = server
  await sql`update network.port set host_id = ${host}, device_id = ${serverId},
      device_owner = ${owner},
      status = case when host_id = ${host} then status else 'DOWN' end,
      generation = generation + 1, updated_at = now()
    where server_id = ${serverId}
      and (host_id <> ${host} or device_id <> ${serverId} or device_owner <> ${owner})`.execute(tx)
  const vifs = await vifsOf(tx, serverId)
  noteChanged(tx, { ports: vifs.map((vif) => vif.portId) })
  pokeAfterCommit(ctx, tx)
  return vifs
}

/** Every interface of the server, in order. */
async function vifsOf(db: DbOrTx, serverId: string): Promise<ServerVif[]> {
  const { rows } = await sql<ServerVif>`select p.id as "portId", p.network_id as "networkId",
      p.mac_address::text as "macAddress", n.mtu
    from network.port p join network.network n on n.id = p.network_id
    where p.server_id = ${serverId} order by p.server_interface_index`.execute(db)
  return rows
}

function deviceOwner(server: ServerOfPorts): string {
  return `compute:${server.availabilityZone ?? "nova"}`
}

async function addInterfaces(ctx: Ctx, tx: Tx, want: MakeServerPorts, ground: Ground): Promise<ServerVif[]> {
  const { projectId } = want.server
  const { interfaces } = ground
  const gone = want.planned.securityGroupIds.find((id) => !ground.groupIds.includes(id))
  if (gone !== undefined) throw serverGroupMissing(gone, projectId)
  const vifs: ServerVif[] = []
  for (const request of interfaces)
    vifs.push(await addInterface(tx, want, { request, index: ground.nextIndex + vifs.length, ground }))
  const own = interfaces.filter((request) => request.portId === null)
  const owners = own.map(() => projectId)
  await enforceQuotaOfMade(ctx, tx, networkQuota, asksOf(owners, { port: 1 }))
  pokeAfterCommit(ctx, tx)
  return vifs
}

interface NewInterface {
  request: InterfaceRequest
  index: number
  ground: Ground
}

async function addInterface(tx: Tx, want: MakeServerPorts, made: NewInterface): Promise<ServerVif> {
  const { server, host, planned } = want
  const { request, index, ground } = made
  if (request.portId !== null) return await adoptPort(tx, want, request.portId, made)
  const network = ground.networks.find(({ id }) => id === request.networkId)
  if (!network) throw serverNetworkMissing(request.networkId ?? "")
  const port = await insertPort(tx, {
    networkId: network.id,
    projectId: server.projectId,
    deviceId: server.id,
    deviceOwner: deviceOwner(server),
    hostId: host,
    dnsName: server.hostname,
    portSecurityEnabled: network.isPortSecurityEnabled,
    securityGroups: network.isPortSecurityEnabled ? planned.securityGroupIds : [],
    serverInterface: { serverId: server.id, index, tag: request.tag },
    subnets: ground.subnets.filter(({ networkId }) => networkId === network.id),
    ...(request.fixedIp === null ? {} : { fixedIps: [{ ipAddress: request.fixedIp }] }),
  })
  return { portId: port.id, networkId: network.id, macAddress: port.macAddress, mtu: network.mtu }
}

async function adoptPort(
  tx: Tx,
  { server, host }: MakeServerPorts,
  portId: string,
  { request, index }: NewInterface,
): Promise<ServerVif> {
  if (!isUuid(portId)) throw serverPortMissing(portId)
  const { id: serverId } = server
  // Taken by whoever finds it free: that is the whole decision. A port that names a device is not free.
  const { rows } = await sql<ServerVif>`update network.port p set server_id = ${serverId},
      device_id = ${serverId},
      device_owner = ${deviceOwner(server)}, host_id = ${host}, server_interface_index = ${index},
      server_interface_tag = ${request.tag}, dns_name = coalesce(nullif(p.dns_name, ''), ${server.hostname}),
      generation = p.generation + 1, updated_at = now()
    from network.network n
    where n.id = p.network_id and p.id = ${portId} and p.project_id = ${server.projectId}
      and p.server_id is null and p.device_id = ''
    returning p.id as "portId", p.network_id as "networkId", p.mac_address::text as "macAddress", n.mtu`.execute(
    tx,
  )
  noteChanged(tx, { ports: [portId] })
  if (rows[0]) return rows[0]
  const { rows: there } = await sql`select from network.port
    where id = ${portId} and project_id = ${server.projectId}`.execute(tx)
  throw there.length > 0 ? serverPortTaken(portId) : serverPortMissing(portId)
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
    (await portsOf(tx, serverId)).filter((id) => id === portId),
  )
  pokeAfterCommit(ctx, tx)
}

/** Of a server that is gone. */
export async function releaseServerPorts(ctx: Ctx, serverId: string): Promise<void> {
  await change(ctx, async (tx) => {
    await letGo(tx, await portsOf(tx, serverId))
  })
}

async function portsOf(tx: Tx, serverId: string): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`select id from network.port
    where server_id = ${serverId} order by server_interface_index for update`.execute(tx)
  return rows.map((row) => row.id)
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
