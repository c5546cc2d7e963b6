// What every process of a cloud has, whatever its role: configuration, database, bus, rules, the services. Belongs
// to the composition root: knows every service; no service knows it.
import { kumoiApi } from "./api/kumoi/index.ts"
import { keysOfImages } from "./block-storage/index.ts"
import { consoleEntrance, consoleRoots, serversOfVolumes } from "./compute/index.ts"
import { createOutbox, type OutboxRunner } from "./engine/outbox/outbox.ts"
import { createReconcilerRunner, type ReconcilerRunner } from "./engine/reconcile/runner.ts"
import { createSagaRunner, type SagaRunner } from "./engine/saga/runner.ts"
import { apisOf } from "./engine/service.ts"
import { authenticatorFor, type IdentitySeed, openIdentityRuntime } from "./identity/index.ts"
import type { Bus } from "./platform/bus/bus.ts"
import { systemClock } from "./platform/clock/clock.ts"
import { readEpoch } from "./platform/cloud/epoch.ts"
import { type Config, loadConfig } from "./platform/config/config.ts"
import type { Drivers, Platform } from "./platform/context/context.ts"
import type { Db } from "./platform/db/database.ts"
import { openDatabases } from "./platform/db/pools.ts"
import { type ListenOptions, listen } from "./platform/http/listen.ts"
import { type Authenticate, createHttpServer } from "./platform/http/server.ts"
import type { TakeUpgrade } from "./platform/http/upgrade.ts"
import "./platform/log/config.ts"
import type { Logger } from "./platform/log/log.ts"
import { readRanges } from "./platform/net/ranges.ts"
import { PolicyEngine } from "./platform/policy/policy.ts"
import { followPolicyFiles } from "./platform/policy/policy-file.ts"
import { services } from "./services.ts"

export interface ControlPlaneParts {
  base: Pick<Config, "dataDir" | "publicUrl" | "region" | "host">
  configFile?: string | undefined
  env?: Readonly<Record<string, string | undefined>>
  /** Dotted configuration keys; the strongest source. */
  overrides?: Readonly<Record<string, unknown>>
  databaseUrl: string
  log: Logger
  bus: Bus
  /** Of the first users; null in a process that only answers: another one seeds. */
  passwords: IdentitySeed["passwords"] | null
  /** Made where the process has them; those of services are added here. */
  drivers: (parts: {
    bus: Bus
    poke: (reconciler: string) => void
  }) => Omit<Drivers, "identity" | "volumeServers" | "imageKeys">
  /** No other process runs sagas of this cloud. */
  isOnlyWorker: boolean
}

export interface ControlPlane {
  /** Its database is that for work. */
  readonly platform: Platform
  /** The same database over the connections that requests have to themselves. */
  readonly requestDb: Db
  readonly sagas: SagaRunner
  readonly outbox: OutboxRunner
  readonly reconcilers: ReconcilerRunner
  readonly authenticate: Authenticate
}

/** Bytes of a JSON body; a template or user data is the largest thing that comes as JSON. */
const bodyLimitBytes = 1_048_576

/** Opens all of it; what must be closed lands on the stack. The database has its schema already. */
export async function openControlPlane(
  parts: ControlPlaneParts,
  stack: AsyncDisposableStack,
): Promise<ControlPlane> {
  const config = loadConfig({
    file: parts.configFile,
    env: parts.env ?? {},
    ...(parts.overrides ? { overrides: parts.overrides } : {}),
    // The sections are loadConfig's to add.
    base: parts.base as Config,
  })
  const { log, databaseUrl, bus } = parts
  const clock = systemClock
  const { sagaLeaseMs, reconcilerLeaseMs, outboxLeaseMs } = config.engine
  const databases = stack.use(
    openDatabases(databaseUrl, config.database, Math.min(sagaLeaseMs, reconcilerLeaseMs, outboxLeaseMs)),
  )
  const db = databases.work
  const { passwords } = parts
  const identity = await openIdentityRuntime({
    config,
    clock,
    db,
    log,
    connectionString: databaseUrl,
    seed: passwords && { passwords, catalog: services.flatMap(({ catalog }) => catalog ?? []) },
  })
  const policy = new PolicyEngine()
  for (const service of services) policy.declare(service.policies, service.name)
  followPolicyFiles(policy, { dir: config.dataDir, clock, log })
  const epoch = await readEpoch(db)
  const durable = { config: config.engine, bus, clock, log, leaseDb: databases.leases }
  const sagas = createSagaRunner({ ...durable, isOnlyWorker: parts.isOnlyWorker })
  const outbox = createOutbox({ ...durable, db })
  const reconcilers = createReconcilerRunner({ ...durable, db })
  const poke = (name: string) => reconcilers.poke(name)
  const drivers: Drivers = {
    ...{ identity, volumeServers: serversOfVolumes, imageKeys: keysOfImages },
    ...parts.drivers({ bus, poke }),
  }
  const platform: Platform = { db, clock, log, config, policy, bus, sagas, outbox, drivers, epoch }
  return {
    platform,
    sagas,
    outbox,
    reconcilers,
    requestDb: databases.requests,
    authenticate: authenticatorFor(overDatabase(platform, databases.requests)),
  }
}

function overDatabase(platform: Platform, db: Db): Platform {
  return Object.assign(Object.create(platform) as Platform, { db })
}

/** What each service needs in every process before the first request. */
export async function startServices(plane: ControlPlane, stack: AsyncDisposableStack): Promise<void> {
  for (const service of services) stack.use(await service.start?.(plane.platform))
}

/** Clients here are the operator's own, and proxies that need no naming. */
const thisMachine = ["127.0.0.0/8", "::1"]

/** Opens the doors; resolves with the address when requests are answered. */
export async function serveApis(
  plane: ControlPlane,
  options: ListenOptions,
  /** Who takes WebSockets to consoles. */
  takeConsole: TakeUpgrade,
  stack: AsyncDisposableStack,
): Promise<string> {
  const { authenticate } = plane
  const platform = overDatabase(plane.platform, plane.requestDb)
  const apis = [...apisOf(services, platform.config), kumoiApi]
  const server = createHttpServer({ platform, apis, authenticate, bodyLimitBytes })
  const { connectionsMost, connectionsPerAddressMost, trustedProxies } = platform.config.http
  const connectionLimits = {
    perAddressMost: connectionsPerAddressMost,
    exempt: readRanges([...thisMachine, ...trustedProxies], "http.trustedProxies"),
  }
  const limits = {
    connectionsMost,
    connectionLimits,
    everywhere: consoleRoots,
    upgrades: consoleEntrance(platform.config, takeConsole),
  }
  const listening = stack.use(await listen(server, { ...limits, ...options }, platform.log))
  return listening.url
}
