// What a server's request for networks means, decided from the rows: once, when the server is asked for.
import { sql } from "kysely"
import { allOrFirst } from "../../platform/clock/in-parallel.ts"
import type { Ctx } from "../../platform/context/context.ts"
import type { DbOrTx } from "../../platform/db/database.ts"
import { isUuid } from "../../platform/ids/ids.ts"
import { canonicalAddress, parseAddress, parsePrefix, prefixContains } from "../../platform/net/address.ts"
import { readRoom } from "../../quota/index.ts"
import { isAdmin as isNetworkAdmin } from "../admin.ts"
import { requireDefaults } from "../auto-topology/auto-topology.ts"
import { networkQuota } from "../quota.ts"
import { defaultGroupOf } from "../security-group/default-group.ts"
import { groupsByNameOrId } from "../security-group/resolve.ts"
import {
  ambiguousNetworks,
  portQuotaExceeded,
  serverFixedIpTaken,
  serverFixedIpWrong,
  serverGroupAmbiguous,
  serverGroupMissing,
  serverNetworkMissing,
  serverNetworkNeedsSubnet,
  serverOnExternalNetwork,
  serverPortMissing,
  serverPortNotUsable,
  serverPortTaken,
} from "./faults.ts"

export interface InterfaceRequest {
  networkId: string | null
  portId: string | null
  fixedIp: string | null
  tag: string | null
}

/** Null: nothing was said, which means the project's only network. */
export type NetworksRequest = "auto" | "none" | readonly InterfaceRequest[] | null

export interface ServerPortsWish {
  /** Absent: the caller's. */
  projectId?: string
  networks: NetworksRequest
  /** Names or ids; empty means the project's default group. */
  securityGroups: readonly string[]
}

/** What a server's interfaces are made of, kept with the server until they are there. */
export interface PlannedServerPorts {
  /** Each names its network or its port; one that names neither is on the project's own network, which is to be made. */
  interfaces: InterfaceRequest[]
  securityGroupIds: string[]
  /** Those that the server's host must reach. Left out by earlier programs. */
  physicalNetworks?: string[]
}

interface CandidateNetwork {
  id: string
  subnets: { id: string; cidr: string }[]
  isExternal: boolean
  isShared: boolean
  portSecurityEnabled: boolean
  /** Where it lies on one. */
  physicalNetwork: string | null
}

const candidateColumns = sql`n.id, n.is_external as "isExternal", n.is_port_security_enabled as "portSecurityEnabled",
  n.physical_network as "physicalNetwork",
  exists (select from network.rbac_policy r where r.object_id = n.id and r.object_type = 'network'
    and r.action = 'access_as_shared') as "isShared",
  (select coalesce(json_agg(json_build_object('id', s.id, 'cidr', s.cidr)), '[]') from network.subnet s
    where s.network_id = n.id) as subnets`

/** Networks that the project's machines may be on without being named: its own and those shared with it. */
async function candidateNetworks(db: DbOrTx, projectId: string): Promise<CandidateNetwork[]> {
  const { rows } = await sql<CandidateNetwork>`select ${candidateColumns} from network.network n
    where n.project_id = ${projectId} or exists (select from network.rbac_policy r where r.object_id = n.id
      and r.object_type = 'network' and r.action = 'access_as_shared' and r.target_project in ('*', ${projectId}))
    order by n.created_at, n.id`.execute(db)
  return rows
}

async function namedNetworks(
  ctx: Ctx,
  projectId: string,
  requests: readonly InterfaceRequest[],
): Promise<Map<string, CandidateNetwork>> {
  const ids = requests.flatMap((request) => request.networkId ?? [])
  if (ids.length === 0) return new Map()
  const { rows } = await sql<CandidateNetwork>`select ${candidateColumns} from network.network n
    where n.id = any(${ids.filter(isUuid)}::uuid[]) and (${isNetworkAdmin(ctx)} or n.project_id = ${projectId}
      or exists (select from network.rbac_policy r where r.object_id = n.id and r.object_type = 'network'
        and r.target_project in ('*', ${projectId})))`.execute(ctx.db)
  return new Map(rows.map((row) => [row.id, row]))
}

const anyNetwork = { networkId: null, portId: null, fixedIp: null, tag: null }

/** One entry for each interface, and the networks that they name. */
async function resolveRequests(
  ctx: Ctx,
  projectId: string,
  request: NetworksRequest,
): Promise<{ interfaces: InterfaceRequest[]; networks: ReadonlyMap<string, CandidateNetwork> }> {
  if (request === "none") return { interfaces: [], networks: new Map() }
  if (request !== null && request !== "auto") {
    const interfaces = request.map((each) => ({ ...each, networkId: each.networkId?.toLowerCase() ?? null }))
    return { interfaces, networks: await namedNetworks(ctx, projectId, interfaces) }
  }
  const candidates = await candidateNetworks(ctx.db, projectId)
  if (candidates.length > 1) throw ambiguousNetworks()
  const [only] = candidates
  if (only)
    return { interfaces: [{ ...anyNetwork, networkId: only.id }], networks: new Map([[only.id, only]]) }
  if (request === null) return { interfaces: [], networks: new Map() }
  await requireDefaults(ctx, projectId)
  return { interfaces: [anyNetwork], networks: new Map() }
}

/** Refuses what can be known to be wrong before the server exists: networks, ports, groups that are not there. */
export async function planServerPorts(ctx: Ctx, wish: ServerPortsWish): Promise<PlannedServerPorts> {
  const projectId = wish.projectId ?? ctx.caller.projectId ?? ""
  const isAdmin = isNetworkAdmin(ctx)
  const isNone = wish.networks === "none" && wish.securityGroups.length === 0
  const [securityGroupIds, { interfaces, networks }] = await allOrFirst(
    isNone ? [] : resolveGroups(ctx, projectId, wish.securityGroups),
    resolveRequests(ctx, projectId, wish.networks),
  )
  const physicalNetworks = new Set<string>()
  for (const request of interfaces) {
    const physicalNetwork = await checkRequest(ctx, { projectId, isAdmin, networks }, request)
    if (physicalNetwork !== null) physicalNetworks.add(physicalNetwork)
  }
  return { interfaces, securityGroupIds, physicalNetworks: [...physicalNetworks] }
}

/**
 * For how many servers, from `minCount` to `maxCount`, the project may have such ports: a first look, the decision is
 * made when the ports are.
 */
export async function roomForServers(
  ctx: Ctx,
  projectId: string,
  { interfaces }: PlannedServerPorts,
  count: { minCount: number; maxCount: number },
): Promise<number> {
  const each = interfaces.filter((request) => request.portId === null).length
  if (each === 0) return count.maxCount
  const asked = { resource: "port", most: each } as const
  const free = await readRoom(ctx, ctx.db, networkQuota, { projectId }, asked)
  const room = Math.min(count.maxCount, Math.floor(free / each))
  if (room < count.minCount) throw portQuotaExceeded()
  return room
}

/** The same for one more interface of a server: without a network or a port the project's only network is meant. */
export async function planServerInterface(
  ctx: Ctx,
  projectId: string,
  request: InterfaceRequest,
): Promise<PlannedServerPorts> {
  const { fixedIp, tag } = request
  const isNamed = request.networkId !== null || request.portId !== null
  const networks = isNamed ? [request] : null
  const planned = await planServerPorts(ctx, { projectId, networks, securityGroups: [] })
  const [chosen] = planned.interfaces
  if (!chosen) throw serverPortMissing("")
  await roomForServers(ctx, projectId, planned, { minCount: 1, maxCount: 1 })
  return { ...planned, interfaces: [{ ...chosen, fixedIp, tag }] }
}

interface Asker {
  projectId: string
  isAdmin: boolean
  networks: ReadonlyMap<string, CandidateNetwork>
}

/** Gives the physical network that it lies on. */
async function checkRequest(ctx: Ctx, asker: Asker, request: InterfaceRequest): Promise<string | null> {
  if (request.portId !== null) return (await checkPort(ctx.db, asker, request.portId)).physicalNetwork
  if (request.networkId !== null) return (await checkNetwork(ctx.db, asker, request)).physicalNetwork
  return null
}

async function checkNetwork(
  db: DbOrTx,
  { networks, isAdmin }: Asker,
  request: InterfaceRequest,
): Promise<CandidateNetwork> {
  const networkId = request.networkId ?? ""
  const network = networks.get(networkId)
  if (!network) throw serverNetworkMissing(networkId)
  if (network.isExternal && !network.isShared && !isAdmin) throw serverOnExternalNetwork(networkId)
  if (network.subnets.length === 0 && network.portSecurityEnabled) throw serverNetworkNeedsSubnet(networkId)
  if (request.fixedIp === null) return network
  const address = parseAddress(request.fixedIp)
  const isInside = network.subnets.some((subnet) => {
    const prefix = parsePrefix(subnet.cidr)
    return prefix !== undefined && address !== undefined && prefixContains(prefix, address)
  })
  if (!isInside) throw serverFixedIpWrong(request.fixedIp, networkId)
  const { rows } = await sql`select from network.ip_allocation where network_id = ${network.id}
    and address = ${canonicalAddress(request.fixedIp) ?? ""}::inet`.execute(db)
  if (rows.length > 0) throw serverFixedIpTaken(request.fixedIp)
  return network
}

interface NamedPort {
  projectId: string
  isTaken: boolean
  physicalNetwork: string | null
}

async function checkPort(db: DbOrTx, { projectId, isAdmin }: Asker, portId: string): Promise<NamedPort> {
  if (!isUuid(portId)) throw serverPortMissing(portId)
  const { rows } = await sql<NamedPort>`
    select p.project_id as "projectId", (p.server_id is not null or p.device_id <> '') as "isTaken",
      (select n.physical_network from network.network n where n.id = p.network_id) as "physicalNetwork"
    from network.port p where p.id = ${portId} and (${isAdmin} or p.project_id = ${projectId})`.execute(db)
  const [port] = rows
  if (!port) throw serverPortMissing(portId)
  // Who sees all ports still cannot plug one project's into another's machine.
  if (port.projectId !== projectId) throw serverPortNotUsable(portId)
  if (port.isTaken) throw serverPortTaken(portId)
  return port
}

/** Ids of the named groups; those of the default group when none is named. */
export async function resolveGroups(
  ctx: Ctx,
  projectId: string,
  names: readonly string[],
): Promise<string[]> {
  if (names.length === 0) return [await defaultGroupOf(ctx, projectId)]
  const wanted = [...new Set(names)]
  if (wanted.includes("default")) await defaultGroupOf(ctx, projectId)
  const found = await groupsByNameOrId(ctx.db, projectId, wanted)
  return wanted.map((name) => {
    const byId = found.find((group) => group.id === name.toLowerCase())
    if (byId) return byId.id
    const byName = found.filter((group) => group.name === name)
    if (byName.length > 1) throw serverGroupAmbiguous(name)
    const [only] = byName
    if (!only) throw serverGroupMissing(name, projectId)
    return only.id
  })
}
