// What servers need of the network service, in the words of servers.
import type { VifSpec } from "../../agent/protocol.ts"
import {
  changeServerSecurityGroup,
  checkServerNetworks,
  type EnsureServerPorts,
  ensureServerPorts,
  listSecurityGroupsOfServer,
  listServerPorts,
  makeServerPorts,
  type PlannedServerPorts,
  planServerPorts,
  releaseServerPorts,
  type SecurityGroupRule,
  type ServerVif,
  serverAddresses,
  serverIdByAddress,
  serverMetadataNetworks,
  serversWithAddress,
  settleNetwork,
} from "../../network/index.ts"
import { type Ctx, internalCtx, type Platform } from "../../platform/context/context.ts"
import type { DbOrTx, Tx } from "../../platform/db/database.ts"
import type { Fault } from "../../platform/fault/fault.ts"
import type { MetadataNetwork } from "../metadata/facts.ts"
import type { RequestedNetworks, Server } from "./server.ts"

/** The network's engine does not answer: it would not for another host either. */
export function isNetworkAway(fault: Fault): boolean {
  return fault.code.startsWith("network.engine.")
}

export interface NetworkWish {
  networks: RequestedNetworks | null
  /** Names or ids; empty means the project's default group. */
  securityGroups: readonly string[]
  minCount: number
  maxCount: number
}

/**
 * Refuses what can be known to be wrong before the server exists: networks, ports, groups that are not there. Returns
 * how many servers, between the two counts, may have their ports.
 */
export async function checkNetworks(ctx: Ctx, wish: NetworkWish): Promise<number> {
  return await checkServerNetworks(ctx, wish)
}

export function vifSpecOf(vif: ServerVif): VifSpec {
  return { portId: vif.portId, macAddress: vif.macAddress, mtu: vif.mtu, networkId: vif.networkId }
}

function portsWish(server: Server, host: string, networks: RequestedNetworks | null): EnsureServerPorts {
  return {
    serverId: server.id,
    projectId: server.projectId,
    userId: server.userId,
    hostname: server.hostname,
    host,
    availabilityZone: server.availabilityZone,
    networks,
    securityGroups: networks === "none" ? [] : server.securityGroups,
  }
}

/** Looks at what `makePorts` needs to know. */
export async function planPorts(ctx: Ctx, server: Server, host: string): Promise<PlannedServerPorts> {
  return await planServerPorts(ctx, portsWish(server, host, server.requestedNetworks))
}

/** Makes the interfaces that the server asked for, bound to the host; returns them, also when they are there already. */
export async function makePorts(ctx: Ctx, tx: Tx, planned: PlannedServerPorts): Promise<VifSpec[]> {
  return (await makeServerPorts(ctx, tx, planned)).map(vifSpecOf)
}

/** Resolves when the network's engine has taken the ports that were made. */
export async function portsTaken(ctx: Ctx, vifs: readonly VifSpec[]): Promise<void> {
  await settleNetwork(
    ctx,
    vifs.map((vif) => vif.portId),
  )
}

/** The interfaces that the server has now, bound to the host: for every start after the first. */
export async function rebindPorts(ctx: Ctx, server: Server, host: string): Promise<VifSpec[]> {
  return (await ensureServerPorts(ctx, portsWish(server, host, "none"))).map(vifSpecOf)
}

/** The server leaves its host and keeps its ports. */
export async function unbindPorts(ctx: Ctx, server: Server): Promise<void> {
  await ensureServerPorts(ctx, portsWish(server, "", "none"))
}

/** Deletes the ports that we made and lets go of those that the user brought. */
export async function releasePorts(ctx: Ctx, serverId: string): Promise<void> {
  await releaseServerPorts(ctx, serverId)
}

export interface ServerAddress {
  /** Name of the network. */
  label: string
  address: string
  version: 4 | 6
  type: "fixed" | "floating"
  macAddress: string
}

export interface ServerNetworking {
  addresses: ServerAddress[]
  /** Names, for the view. */
  securityGroups: string[]
}

/** For lists: all asked servers in one statement. */
export async function selectNetworking(
  db: DbOrTx,
  serverIds: readonly string[],
): Promise<ReadonlyMap<string, ServerNetworking>> {
  return await serverAddresses(db, serverIds)
}

export async function metadataNetworks(platform: Platform, serverId: string): Promise<MetadataNetwork[]> {
  return await serverMetadataNetworks(internalCtx(platform), serverId)
}

export interface ServerInterface {
  portId: string
  networkId: string
  macAddress: string
  /** As the network shows it: ACTIVE, DOWN, BUILD. */
  status: string
  fixedIps: { subnetId: string; ipAddress: string }[]
  tag: string | null
}

export async function selectInterfaces(ctx: Ctx, serverId: string): Promise<ServerInterface[]> {
  return await listServerPorts(ctx, serverId)
}

export interface GroupOfServer {
  id: string
  name: string
  description: string
  projectId: string
  rules: SecurityGroupRule[]
}

export async function selectSecurityGroups(ctx: Ctx, serverId: string): Promise<GroupOfServer[]> {
  const groups = await listSecurityGroupsOfServer(ctx, serverId)
  return groups.map(({ tenant_id, ...group }) => ({ ...group, projectId: tenant_id }))
}

export async function changeGroup(
  ctx: Ctx,
  server: Server,
  group: string,
  change: "add" | "remove",
): Promise<void> {
  await changeServerSecurityGroup(ctx, { serverId: server.id, projectId: server.projectId, group, change })
}

/** Whose packets come from this address on this network. */
export async function serverIdOfAddress(
  platform: Platform,
  networkId: string,
  address: string,
): Promise<string | undefined> {
  return await serverIdByAddress(platform.db, { networkId, address })
}

/** Ids of servers with an address that matches (PostgreSQL's regular expressions). */
export async function serverIdsByAddress(
  db: DbOrTx,
  projectId: string | null,
  pattern: string,
  version: 4 | 6,
): Promise<string[]> {
  return await serversWithAddress(db, { projectId, pattern, version })
}
