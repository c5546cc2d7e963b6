// The composition root: knows every service; no service knows it. The launcher calls it with real engines, the
// server tests with fakes.
import { type AgentParts, type AgentRole, type StopOptions, startAgentRole } from "./agent-role.ts"
import {
  ConsoleProxy,
  countMachinesAside,
  createMetadataLists,
  type MetadataLists,
  metadataReconcilerName,
  serveMetadata,
} from "./compute/index.ts"
import {
  type ControlPlane,
  type ControlPlaneParts,
  openControlPlane,
  serveApis,
  startServices,
} from "./control-plane.ts"
import type { Reconciler } from "./engine/reconcile/reconciler.ts"
import { type CloudHosts, chassisReconciler, type HostsParts, openHosts } from "./hosts.ts"
import { registerLocalImage } from "./image/index.ts"
import { localBackupStore } from "./local-backup-store.ts"
import { localImageStore } from "./local-image-store.ts"
import { localVolumeKeys } from "./local-volume-keys.ts"
import type { NetworkDriver } from "./network/driver/network-driver.ts"
import type { Bus } from "./platform/bus/bus.ts"
import { createMemoryBus } from "./platform/bus/memory-bus.ts"
import type { Platform } from "./platform/context/context.ts"
import { migrate } from "./platform/db/migrate.ts"
import { describeError } from "./platform/fault/fault.ts"
import type { ListenOptions } from "./platform/http/listen.ts"
import { serveUpgrades, type TakeUpgrade } from "./platform/http/upgrade.ts"
import { AwaitedStreams } from "./platform/streams/awaited-streams.ts"
import { services } from "./services.ts"

export interface CloudParts
  extends Pick<ControlPlaneParts, "base" | "configFile" | "env" | "overrides" | "databaseUrl" | "log"> {
  /** Default: one within this process. Closed with the cloud. */
  bus?: Bus
  /** False when other hosts work for this cloud as well; default true: one process runs a cloud (launch/lock.ts). */
  isOnlyWorker?: boolean
  passwords: { admin: string; demo: string }
  network: NetworkDriver
  /** What this host runs machines with. */
  agent: AgentParts
  /** What answers this host's proxy; null: it has none (fake network). */
  metadata: MetadataParts | null
  /** Registered under its name when it is not there yet. */
  guestImage: FirstImage | null
  /** Null: other processes answer the requests. */
  listen: ListenOptions | null
  /** Where those hand on WebSockets to consoles; left out: there are none. */
  consoleSocket?: string
  /** Left out: no host on another machine can join. */
  hosts?: HostsParts
}

export interface MetadataParts {
  /** Unix socket on which the metadata service answers the proxy. */
  socketPath: string
  /** Starts the proxy; called when the service answers on the socket. */
  start(): Promise<void>
}

export interface FirstImage {
  name: string
  path: string
  diskFormat: string
  minDiskGib: number
  minRamMib: number
  properties: Record<string, string>
}

export interface ServiceStatus {
  name: string
  /** In words; null: none. */
  problem: string | null
  /** What is to be known and is no failure; null: nothing. */
  note: string | null
  /** When it last ran to its end; null where nobody notes that. */
  since: Date | null
}

export interface Cloud {
  readonly platform: Platform
  readonly agent: AgentRole
  readonly url: string
  /** Null where none can join. */
  readonly hosts: CloudHosts | null
  /** How the services are, for `kumoi status`. */
  services(): Promise<ServiceStatus[]>
  /** Waits for what is under way, then lets go of everything but the engines. */
  stop(options: StopOptions): Promise<void>
}

export async function startCloud(parts: CloudParts): Promise<Cloud> {
  await migrate(parts.databaseUrl, {
    onNewer: (names) =>
      parts.log.warn(
        { migrations: names },
        "the schema is a newer program's, which says that this one may use it",
      ),
  })
  await using stack = new AsyncDisposableStack()
  const bus = stack.use(parts.bus ?? createMemoryBus(parts.log))
  const metadataLists = createMetadataLists()
  const streams = new AwaitedStreams()
  const plane = await openControlPlane(
    {
      ...parts,
      bus,
      drivers: ({ poke }) => ({
        network: tellChanges(parts.network, metadataLists, () => poke(metadataReconcilerName)),
        streams,
      }),
      isOnlyWorker: parts.isOnlyWorker ?? true,
    },
    stack,
  )
  const run: Run = { parts, plane, metadataLists, streams, stopAs: { guests: "leave", graceMs: 0 } }
  const cloud = await startPlane(run, stack)
  const kept = stack.move()
  return { ...cloud, stop: (how) => stopCloud(run, kept, how) }
}

interface Run {
  parts: CloudParts
  plane: ControlPlane
  metadataLists: MetadataLists
  streams: AwaitedStreams
  /** How the agent is to let go at the end; a start that fails leaves guests alone. */
  stopAs: StopOptions
}

/** Seeds, then what runs beside requests, then the agent, then the doors. Each lands on the stack that undoes it. */
async function startPlane(run: Run, stack: AsyncDisposableStack): Promise<Omit<Cloud, "stop">> {
  const { parts, plane, metadataLists, streams } = run
  const { platform } = plane
  for (const service of services) await service.seed?.(platform)
  if (parts.guestImage) await registerFirstImage(platform, parts.guestImage)
  await startServices(plane, stack)
  for (const service of services) stack.use(await service.work?.(platform))
  stack.use(await plane.outbox.publish())
  if (parts.metadata) await startMetadata(platform, parts.metadata, stack)
  const agent = await startAgentRole(platform, parts.agent, {
    images: localImageStore(platform),
    backups: localBackupStore(platform),
    volumeKeys: localVolumeKeys(platform),
    streams: streams.dialer(platform.config.host),
  })
  stack.defer(async () => await agent.stop(run.stopAs))
  // After the agent, so that what a crash left finds somebody to talk to.
  stack.use(
    await plane.sagas.work(
      platform,
      services.flatMap((s) => s.sagas),
    ),
  )
  const ofServices: Reconciler[] = services.flatMap((s) => [...s.reconcilers])
  stack.defer(async () => await parts.hosts?.network?.close())
  const ofHosts = parts.hosts ? [chassisReconciler(parts.hosts.network)] : []
  stack.use(await plane.reconcilers.work(platform, [...ofServices, ...ofHosts, metadataLists.reconciler]))
  const hosts = parts.hosts ? await openHosts(platform, { ...parts.hosts, streams }, stack) : null
  const consoles = stack.use(new ConsoleProxy(platform, streams))
  const takeConsole: TakeUpgrade = (...asked) => void consoles.take(...asked)
  if (parts.consoleSocket !== undefined) stack.use(await serveUpgrades(parts.consoleSocket, takeConsole))
  const url = parts.listen
    ? await serveApis(plane, parts.listen, takeConsole, stack)
    : platform.config.publicUrl
  return { platform, agent, url, hosts, services: async () => await describeServices(plane) }
}

/** Doors first, then what works behind them, then the agent, last the bus and the database: the stack's own order. */
async function stopCloud(run: Run, kept: AsyncDisposableStack, how: StopOptions): Promise<void> {
  run.stopAs = how
  await kept.disposeAsync()
  run.plane.platform.log.flush()
}

async function registerFirstImage(platform: Platform, image: FirstImage): Promise<void> {
  await registerLocalImage(platform, { ...image, containerFormat: "bare", visibility: "public" })
}

async function startMetadata(
  platform: Platform,
  metadata: MetadataParts,
  stack: AsyncDisposableStack,
): Promise<void> {
  stack.use(await serveMetadata(platform, { socketPath: metadata.socketPath }))
  await metadata.start()
}

/** The driver, telling when a host must be told of its guests' networks: a first guest on one, a port of metadata. */
function tellChanges(driver: NetworkDriver, lists: MetadataLists, changed: () => void): NetworkDriver {
  return {
    name: driver.name,
    change: async (read) => {
      let isMore = false
      const report = await driver.change(async (also) => {
        const change = await read(also)
        isMore = change.want.ports.some((port) => lists.isNews(port))
        return change
      })
      if (isMore && report.created + report.updated > 0) changed()
      return report
    },
    setGateways: async (gateways) => await driver.setGateways(gateways),
    known: () => driver.known(),
    portStates: (signal) => driver.portStates(signal),
    isPortUp: (portId) => driver.isPortUp(portId),
    health: async () => await driver.health(),
    [Symbol.asyncDispose]: async () => await driver[Symbol.asyncDispose](),
  }
}

/** Reconcilers as `kumoi status` shows them; the database knows how they are. */
async function describeServices(plane: ControlPlane): Promise<ServiceStatus[]> {
  try {
    return await reconcilersAndSagas(plane)
  } catch (error) {
    const problem = `what the services do is not known: ${describeError(error)}`
    return [{ name: "database", problem, note: null, since: null }]
  }
}

/** Whoever asks for the status waits. */
const asideTimeoutMs = 2_000

async function reconcilersAndSagas(plane: ControlPlane): Promise<ServiceStatus[]> {
  const { platform } = plane
  const [found, sagas, outbox, aside] = await Promise.all([
    plane.reconcilers.status(),
    plane.sagas.problems(platform.db),
    plane.outbox.problem(platform.db),
    countMachinesAside(platform, asideTimeoutMs),
  ])
  const one = { note: null, since: null }
  const hosts = [...aside].map(([host, count]) => `${count} on ${host}`)
  return [
    ...found.map((r) => ({ ...one, name: r.name, problem: r.error, since: r.endedAt })),
    { ...one, name: "sagas", problem: sagas.length === 0 ? null : sagas.join("; ") },
    { ...one, name: "outbox", problem: outbox },
    ...(hosts.length > 0
      ? [
          {
            ...one,
            name: "machines set aside",
            problem: null,
            note: `${hosts.join(", ")}: ./kumoi host unknown`,
          },
        ]
      : []),
  ]
}
