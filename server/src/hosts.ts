// Hosts on other machines, where all services are known: the door, what it answers beside joining, and what the
// operator does with hosts. Belongs to the composition root.
import { isIPv4, type Socket } from "node:net"
import {
  type ControlShare,
  type FollowedDatabase,
  type HostSettings,
  type JoinAnswer,
  writeJoinToken,
} from "./agent/door-protocol.ts"
import { noteHostLost, removeComputeHost, selectHostFacts } from "./compute/index.ts"
import type { Reconciler } from "./engine/reconcile/reconciler.ts"
import {
  admitOwnHost,
  ensureHostAuthority,
  type HostDoor,
  hasHostAuthority,
  hostAddressKind,
  hostAddressLocal,
  hostAddressTaken,
  hostMissing,
  hostNotJoined,
  issueJoinToken,
  type Member,
  openHostDoor,
  selectMember,
  selectMembers,
  type TokenWish,
} from "./host/index.ts"
import {
  changeGateway,
  forgetGateway,
  forgetHostAgents,
  type GatewayHost,
  gatewaysSimulated,
  selectGateways,
} from "./network/index.ts"
import type { Platform } from "./platform/context/context.ts"
import { isReachable } from "./platform/net/address.ts"
import type { AwaitedStreams } from "./platform/streams/awaited-streams.ts"

export interface HostsParts {
  /** Address on which the cloud listens; the door does on the same one. */
  listen: string
  /** Where other machines reach it. */
  address: string
  settings: HostSettings
  /** The network's part; null: it is simulated. */
  network: HostsNetwork | null
  /** Left out: there is no further control host. */
  control?: HostsControl
}

/** Of further control hosts. */
export interface HostsControl {
  /** What they get; throws where this cloud cannot have any, and says why. */
  share(): Promise<ControlShare>
}

export interface HostsNetwork {
  /** Before the first host comes, and at each start from then on. */
  open(tls: { certFile: string; keyFile: string; caFile: string }): Promise<void>
  /** Names of the physical networks that the host says it is connected to; null: it has no part in the network. */
  physicalNetworks(host: string): Promise<string[] | null>
  /** A connection to where its database listens to hosts, for the door to relay. */
  southbound(): Promise<Socket>
  /** A connection to one of its databases, by which it can be followed. */
  database(name: FollowedDatabase): Promise<Socket>
  /** What the engine knows of a host that is none any more. */
  forget(host: string): Promise<void>
  /** Whether joined hosts say there what the cloud knows of them: their addresses, and where ports are. */
  compare(addresses: ReadonlyMap<string, string>): Promise<ChassisFindings>
  /** Nothing is compared from then on. */
  close(): Promise<void>
}

export interface ChassisFindings {
  /** Set right. */
  addresses: readonly { host: string; said: string; own: string }[]
  ports: readonly { portId: string; said: string; own: string }[]
}

/** What the door hands on in this process. */
export interface HostsReach {
  streams: AwaitedStreams
}

export interface JoinLine {
  url: string
  token: string
  expiresAt: Date
}

export interface CloudHosts {
  /** Where other machines reach the cloud. */
  readonly address: string
  /** Opens the door when it is not open yet. */
  token(how: TokenWish): Promise<JoinLine>
  members(): Promise<(Member & { isConnected: boolean; refusal: string | null })[]>
  /** Those that carry routers' gateways. */
  gateways(): Promise<GatewayHost[]>
  setGateway(name: string, how: { isGateway: boolean; priority: number | null }): Promise<GatewayHost[]>
  /** Throws while there are servers or volumes on it. */
  remove(name: string): Promise<void>
  /** The host of this process becomes a member, as other control hosts are; `request`: PKCS #10, PEM. */
  admitOwn(request: string): Promise<JoinAnswer>
  /** Address of the door of a control host. */
  doorAt(address: string): string
}

/** Opens the door if a host may look for it. */
export async function openHosts(
  platform: Platform,
  parts: HostsParts & HostsReach,
  stack: AsyncDisposableStack,
): Promise<CloudHosts> {
  let door: Promise<HostDoor> | null = null
  const open = () => {
    door ??= openDoor(platform, parts).catch((error: unknown) => {
      door = null
      throw error
    })
    return door
  }
  stack.defer(async () => await (await door)?.[Symbol.asyncDispose]())
  if (hasHostAuthority(platform.config.dataDir)) await open()
  return {
    address: parts.address,
    token: async (how) => {
      if (how.isControl) await parts.control?.share()
      // Before anything is made that the next start would look after.
      if (parts.network && !isIPv4(parts.address)) throw hostAddressKind(parts.address)
      if (how.address !== null) checkHostAddress(how.address, parts)
      const { fingerprint } = await open()
      const { secret, expiresAt } = await issueJoinToken(platform, how)
      return {
        url: doorAt(platform, parts.address),
        token: writeJoinToken({ secret, authority: fingerprint }),
        expiresAt,
      }
    },
    members: async () => {
      const opened = await door
      const members = await selectMembers(platform.db)
      return members.map((member) => ({
        ...member,
        isConnected: opened?.isConnected(member.name) ?? false,
        refusal: opened?.refusalOf(member.name) ?? null,
      }))
    },
    gateways: async () => (parts.network === null ? [] : await selectGateways(platform)),
    setGateway: async (name, how) => await setGateway(platform, parts.network, { host: name, ...how }),
    admitOwn: async (request) => {
      const own = { name: platform.config.host, address: parts.address, request }
      return await admitOwnHost(platform, own, await ensureHostAuthority(platform.config.dataDir))
    },
    doorAt: (address) => doorAt(platform, address),
    remove: async (name) => await removeHost(platform, { door: await door, network: parts.network }, name),
  }
}

function doorAt({ config }: Platform, address: string): string {
  return `https://${address.includes(":") ? `[${address}]` : address}:${config.hosts.port}`
}

/** Where the door is, or will be: of every control host, whichever works. */
async function doorsOf(platform: Platform, own: string): Promise<string[]> {
  const members = await selectMembers(platform.db)
  const others = members.flatMap(({ isControl, address }) => (isControl && address !== own ? [address] : []))
  return [own, ...others].map((address) => doorAt(platform, address))
}

/** A token's, before there is one: the host would be refused it, or no other host would reach it. */
function checkHostAddress(address: string, { address: own, network }: HostsParts): void {
  if (!isReachable(address)) throw hostAddressLocal(address)
  if (address === own) throw hostAddressTaken(address)
  if (network && !isIPv4(address)) throw hostAddressKind(address)
}

async function openDoor(platform: Platform, parts: HostsParts & HostsReach): Promise<HostDoor> {
  const { port } = platform.config.hosts
  const { network, control } = parts
  const { files, door } = await ensureHostAuthority(platform.config.dataDir)
  await network?.open({ ...door, caFile: files.certFile })
  const { controlAnswers, doorAnswers } = await import("./door-answers.ts")
  return await openHostDoor(platform, {
    listen: { host: parts.listen, port },
    ownAddress: parts.address,
    answers: doorAnswers(platform, async () => ({
      ...parts.settings,
      doors: await doorsOf(platform, parts.address),
    })),
    ...(control && {
      control: {
        answers: controlAnswers(() => control.share()),
        database: network && ((name) => network.database(name)),
      },
    }),
    southbound: network && (() => network.southbound()),
    streams: parts.streams,
    isTaken: async (name) => await isHostOfCloud(platform, name),
    onLost: async (host) => await noteHostLost(platform, host),
  })
}

const compareEveryMs = 30_000
const compareTimeoutMs = 30_000
const portsShownMost = 10

/** A host that was taken over may say in the network's database what is not so; nobody else would tell. */
export function chassisReconciler(network: HostsNetwork | null): Reconciler {
  return {
    name: "host.network",
    intervalMs: compareEveryMs,
    timeoutMs: compareTimeoutMs,
    run: async ({ db, log }) => {
      const members = await selectMembers(db)
      if (network === null || members.length === 0) return { addresses: 0, ports: 0 }
      const { addresses, ports } = await network.compare(
        new Map(members.map(({ name, address }) => [name, address])),
      )
      for (const each of addresses)
        log.error(
          each,
          "a host said that its tunnels end at an address that is not its own; it was set right",
        )
      if (ports.length > 0)
        log.error(
          { count: ports.length, ports: ports.slice(0, portsShownMost) },
          "ports are said to be with other hosts than their own: a host that is lost had them, or one lies",
        )
      return { addresses: addresses.length, ports: ports.length }
    },
  }
}

async function isHostOfCloud(platform: Platform, name: string): Promise<boolean> {
  if (name === platform.config.host) return true
  return (await selectHostFacts(platform, { filters: { name: [name] } })).length > 0
}

async function setGateway(
  platform: Platform,
  network: HostsNetwork | null,
  change: { host: string; isGateway: boolean; priority: number | null },
): Promise<GatewayHost[]> {
  if (network === null) throw gatewaysSimulated()
  const { host } = change
  // One that joined and has not reported yet is one too.
  if (!(await selectMember(platform.db, host)) && !(await isHostOfCloud(platform, host)))
    throw hostMissing(host)
  return await changeGateway(platform, { ...change, reached: await network.physicalNetworks(host) })
}

async function removeHost(
  platform: Platform,
  { door, network }: { door: HostDoor | null; network: HostsNetwork | null },
  name: string,
): Promise<void> {
  if (name === platform.config.host || !(await selectMember(platform.db, name)))
    throw (await isHostOfCloud(platform, name)) ? hostNotJoined(name) : hostMissing(name)
  await removeComputeHost(platform, name, async () => void (await door?.remove(name)))
  await forgetGateway(platform, name)
  await network?.forget(name)
  await forgetHostAgents(platform, name)
}
