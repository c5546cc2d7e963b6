// The composition root: knows every service; no service knows it. The launcher calls it with real engines, the
// server tests with fakes.
import type { AddressInfo } from "node:net"
import { type AgentParts, type AgentRole, type StopOptions, startAgentRole } from "./agent-role.ts"
import { createKumoiApi } from "./api/kumoi/index.ts"
import { openstackApis } from "./api/openstack/index.ts"
import { createCompute, serveMetadata } from "./compute/index.ts"
import { createOutbox, type OutboxRunner } from "./engine/outbox/outbox.ts"
import type { Reconciler } from "./engine/reconcile/reconciler.ts"
import { createReconcilerRunner, type ReconcilerRunner } from "./engine/reconcile/runner.ts"
import { createSagaRunner, type SagaRunner } from "./engine/saga/runner.ts"
import type { Service } from "./engine/service.ts"
import { type CatalogSeed, createIdentity, identityPolicies } from "./identity/index.ts"
import { createImage, openImageData, registerLocalImage } from "./image/index.ts"
import type { ComponentStatus } from "./launch/status.ts"
import type { NetworkDriver } from "./network/driver/network-driver.ts"
import { createNetwork, type MetadataNetwork, metadataNetworks } from "./network/index.ts"
import { createPlacement } from "./placement/index.ts"
import { createMemoryBus } from "./platform/bus/memory-bus.ts"
import { systemClock } from "./platform/clock/clock.ts"
import { type Config, loadConfig } from "./platform/config/config.ts"
import type { Drivers, Platform } from "./platform/context/context.ts"
import { openDatabase } from "./platform/db/database.ts"
import { migrate } from "./platform/db/migrate.ts"
import { type Authenticate, createHttpServer, declareRawRoutes } from "./platform/http/server.ts"
import type { Logger } from "./platform/log/log.ts"
import { PolicyEngine } from "./platform/policy/policy.ts"
import { followPolicyFiles } from "./platform/policy/policy-file.ts"

export interface CloudParts {
  base: Pick<Config, "dataDir" | "publicUrl" | "region" | "host">
  configFile?: string | undefined
  env?: Readonly<Record<string, string | undefined>>
  /** Dotted configuration keys; the strongest source. */
  overrides?: Readonly<Record<string, unknown>>
  databaseUrl: string
  log: Logger
  passwords: { admin: string; demo: string }
  network: NetworkDriver
  /** What this host runs machines with. */
  agent: AgentParts
  /** Null: no metadata service at 169.254.169.254 (fake network). */
  metadata: MetadataParts | null
  /** Registered under its name when it is not there yet. */
  guestImage: FirstImage | null
  listen: { host: string; port: number }
}

export interface MetadataParts {
  /** Unix socket on which the metadata service answers the proxy. */
  socketPath: string
  /** Starts the proxy; called when the service answers on the socket. */
  start(): Promise<void>
  proxy: { reconcile(networks: readonly MetadataNetwork[]): Promise<void> }
}

export interface FirstImage {
  name: string
  path: string
  diskFormat: string
  minDiskGib: number
  minRamMib: number
  properties: Record<string, string>
}

export interface Cloud {
  readonly platform: Platform
  readonly agent: AgentRole
  readonly url: string
  /** What each part says of itself, for `kumoi status`. */
  services(): Promise<ComponentStatus[]>
  /** Waits for what is under way, then lets go of everything but the engines. */
  stop(options: StopOptions): Promise<void>
}

/** Bytes of a JSON body; a template or user data is the largest thing that comes as JSON. */
const bodyLimitBytes = 1_048_576

/** What the service catalog names, below the public URL. */
const catalog: readonly CatalogSeed[] = [
  { type: "identity", name: "keystone", path: "/identity" },
  { type: "image", name: "glance", path: "/image" },
  { type: "placement", name: "placement", path: "/placement" },
  { type: "network", name: "neutron", path: "/network" },
  { type: "compute", name: "nova", path: "/compute/v2.1" },
]

/** Every service, in the order in which they are seeded and started. */
function createServices(identity: Service): Service[] {
  return [identity, createImage(), createPlacement(), createNetwork(), createCompute()]
}

/** Default policy rules of every service, for the generated reference and for what needs no running cloud. */
export function declaredPolicies(): Pick<Service, "name" | "policies">[] {
  return [
    { name: "identity", policies: identityPolicies },
    ...[createImage(), createPlacement(), createNetwork(), createCompute()],
  ]
}

export async function startCloud(parts: CloudParts): Promise<Cloud> {
  const config = loadConfig({
    file: parts.configFile,
    env: parts.env ?? {},
    ...(parts.overrides ? { overrides: parts.overrides } : {}),
    // The sections are loadConfig's to add.
    base: parts.base as Config,
  })
  await migrate(parts.databaseUrl)
  const { log, databaseUrl } = parts
  const clock = systemClock
  await using stack = new AsyncDisposableStack()
  const { db, pool } = openDatabase({ connectionString: databaseUrl })
  stack.defer(async () => await pool.end())
  const bus = stack.use(createMemoryBus(log))
  const identity = await createIdentity({
    db,
    config,
    clock,
    connectionString: databaseUrl,
    seed: { passwords: parts.passwords, catalog },
  })
  const services = createServices(identity.service)
  const policy = new PolicyEngine()
  for (const service of services) policy.declare(service.policies, service.name)
  followPolicyFiles(policy, { dir: config.dataDir, clock, log })
  const durable = { config: config.engine, bus, clock, log }
  // One process runs a cloud (launch/lock.ts): whoever else held a saga is dead.
  const sagas = createSagaRunner({ ...durable, isOnlyWorker: true })
  const outbox = createOutbox({ ...durable, db })
  const reconcilers = createReconcilerRunner({ ...durable, db })
  const network = tellChanges(parts.network, () => reconcilers.poke(metadataReconcilerName))
  const drivers: Drivers = { identity: identity.runtime, network }
  const platform: Platform = { db, clock, log, config, policy, bus, sagas, outbox, drivers }
  const run: Run = {
    parts,
    platform,
    services,
    sagas,
    outbox,
    reconcilers,
    authenticate: identity.authenticatorFor(platform),
    stopAs: { guests: "leave", graceMs: 0 },
  }
  const cloud = await startPlatform(run, stack)
  const kept = stack.move()
  return { ...cloud, stop: (how) => stopCloud(run, kept, how) }
}

interface Run {
  parts: CloudParts
  platform: Platform
  services: readonly Service[]
  sagas: SagaRunner
  outbox: OutboxRunner
  reconcilers: ReconcilerRunner
  authenticate: Authenticate
  /** How the agent is to let go at the end; a start that fails leaves guests alone. */
  stopAs: StopOptions
}

/** Seeds, then what runs beside requests, then the agent, then the doors. Each lands on the stack that undoes it. */
async function startPlatform(run: Run, stack: AsyncDisposableStack): Promise<Omit<Cloud, "stop">> {
  const { parts, platform, services } = run
  for (const service of services) await service.seed?.(platform)
  if (parts.guestImage) await registerFirstImage(platform, parts.guestImage)
  for (const service of services) {
    const started = await service.start?.(platform)
    if (started) stack.use(started)
  }
  stack.use(await run.outbox.publish())
  if (parts.metadata) await startMetadata(platform, parts.metadata, stack)
  const agent = await startAgentRole(platform, parts.agent, {
    open: async (imageId) => await openImageData(platform, imageId),
  })
  stack.defer(async () => await agent.stop(run.stopAs))
  // After the agent, so that what a crash left finds somebody to talk to.
  stack.use(
    await run.sagas.work(
      platform,
      services.flatMap((s) => s.sagas),
    ),
  )
  const reconcilers: Reconciler[] = services.flatMap((s) => [...s.reconcilers])
  if (parts.metadata) reconcilers.push(metadataReconciler(parts.metadata))
  stack.use(await run.reconcilers.work(platform, reconcilers))
  const apis = [
    ...openstackApis({ hasIdentityV2: platform.config.identity.isV2ApiEnabled }),
    createKumoiApi(),
  ]
  declareRawRoutes(apis)
  const server = createHttpServer({ platform, apis, authenticate: run.authenticate, bodyLimitBytes })
  await server.listen({ host: parts.listen.host, port: parts.listen.port })
  stack.defer(async () => await server.close())
  const { port } = server.server.address() as AddressInfo
  return {
    platform,
    agent,
    url: `http://${parts.listen.host}:${port}`,
    services: async () => await describeServices(run),
  }
}

/** Doors first, then what works behind them, then the agent, last the bus and the database: the stack's own order. */
async function stopCloud(run: Run, kept: AsyncDisposableStack, how: StopOptions): Promise<void> {
  run.stopAs = how
  await kept.disposeAsync()
  run.platform.log.flush()
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

const metadataIntervalMs = 30_000
const metadataReconcilerName = "metadata.proxy"

/** The driver, telling when the engine has something new: the proxy follows the networks. */
function tellChanges(driver: NetworkDriver, changed: () => void): NetworkDriver {
  return {
    name: driver.name,
    reconcile: async (want) => {
      const report = await driver.reconcile(want)
      if (report.created > 0 || report.removed > 0) changed()
      return report
    },
    portStates: (signal) => driver.portStates(signal),
    health: async () => await driver.health(),
    [Symbol.asyncDispose]: async () => await driver[Symbol.asyncDispose](),
  }
}

/** Reconcilers as `kumoi status` shows them. */
async function describeServices(run: Run): Promise<ComponentStatus[]> {
  const found = await run.reconcilers.status()
  return found.map((r) => ({
    name: r.name,
    kind: "service",
    state: r.error === null ? "ok" : "failing",
    pid: null,
    since: r.endedAt?.toISOString() ?? null,
    memoryBytes: 0,
    restarts: 0,
    detail: r.error,
  }))
}

/** Keeps the proxy in every network that has guests to serve. */
function metadataReconciler(metadata: MetadataParts): Reconciler {
  return {
    name: metadataReconcilerName,
    intervalMs: metadataIntervalMs,
    timeoutMs: metadataIntervalMs,
    run: async (platform) => {
      const networks = await metadataNetworks(platform.db)
      await metadata.proxy.reconcile(networks)
      return { networks: networks.length }
    },
  }
}
