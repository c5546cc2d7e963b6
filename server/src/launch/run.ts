// Runs one cloud in this process: engines first, then the control plane, then the proof that it answers.
import { existsSync, rmSync } from "node:fs"
import { hostname } from "node:os"
import { join } from "node:path"
import type { ApiRoleParts } from "../api-role.ts"
import type { HostsParts } from "../hosts.ts"
import type { Cloud } from "../main.ts"
import { type Config, loadConfig } from "../platform/config/config.ts"
import { connectionsOfProcess } from "../platform/db/pools.ts"
import { identifyProcess, type ProcessIdentity } from "../platform/exec/process.ts"
import type { Logger } from "../platform/log/log.ts"
import { boundLogs } from "../platform/log/rotate.ts"
import { bridgeMappingsOf } from "../platform/net/bridge-mappings.ts"
import { ownProgram } from "../platform/program/program.ts"
import { Supervisor } from "../platform/supervise/supervisor.ts"
import { choosePublicUrl, hostOf, outerAddress } from "./address.ts"
import { forgetInterrupted } from "./backup/interrupted.ts"
import { openBus } from "./bus.ts"
import {
  type CloudDir,
  canReach,
  type MainState,
  openCloudDir,
  readOrMakePasswords,
  refuseHalfRestored,
  removeMainState,
  takeStopRequest,
  writeJson,
  writeMainState,
} from "./cloud-dir.ts"
import { declareConfigSections } from "./config-sections.ts"
import { serveControl } from "./control.ts"
import { keepHeld } from "./control-host/keep-held.ts"
import type { HeldLock } from "./control-host/lock.ts"
import { keepOwnCertificate } from "./control-host/own-membership.ts"
import { writeCredentials } from "./credentials.ts"
import { chooseDatabase, describeDatabase, holdDatabase } from "./database.ts"
import {
  apiFilePath,
  apiProcessEngine,
  apiProcessNames,
  busSocketPath,
  consoleSocketPath,
} from "./engines/api-process.ts"
import { postgresEngine, postgresUrl } from "./engines/postgres.ts"
import { guestImage } from "./guest-image.ts"
import type { Membership } from "./joined/membership.ts"
import { removeLeftovers } from "./leftovers.ts"
import { localSockets } from "./local-sockets.ts"
import { ownParent } from "./parent.ts"
import { doorsOf, planStart, type StartPlan } from "./plan.ts"
import { proveItAnswers } from "./prove.ts"
import { choosePublicNetwork, type PublicNetwork } from "./public-network.ts"
import type { HostOptions, HostParts } from "./real-host.ts"
import { statusOf } from "./run-status.ts"
import { interrupted, type StartParts, startIn } from "./start-in.ts"
import { prepareTls, type Tls } from "./tls.ts"
import type { UpOptions } from "./up-options.ts"

export interface RunningCloud {
  /** What `up` prints at its end. */
  summary: string
  /** Resolves when the cloud has been stopped. */
  ended: Promise<void>
}

const region = "RegionOne"

/** For tools, and for what starts beside a process that ends. */
const spareConnections = 60

/** Of one control host of several, which has the lock already. */
export interface ControlPart {
  membership: Membership
  held: HeldLock
  networkId: string
}

/** What the control plane is started in. */
export interface LeadOptions extends StartParts {
  options: UpOptions
  plan: StartPlan
  dir: CloudDir
  say: (line: string) => void
  startedMs: number
  /** Null: nobody else can work. */
  control: ControlPart | null
}

export interface Run {
  options: UpOptions
  control: ControlPart | null
  /** This host among the cloud's. */
  host: string
  plan: StartPlan
  dir: CloudDir
  url: string
  /** Where other machines reach this one. */
  outer: string
  tls: Tls | null
  log: Logger
  supervisor: Supervisor
  say: (line: string) => void
  startedAt: Date
  parent: ProcessIdentity | null
}

export async function runCloud(options: UpOptions, say: (line: string) => void): Promise<RunningCloud> {
  const startedMs = performance.now()
  // First of all: a slip in it must not leave half a cloud.
  await declareConfigSections()
  const { agent, log: logBounds } = readConfig(options, {})
  const plan = await planStart(options, agent, say)
  const dir = openCloudDir(options.dataDir, {
    canPostgresReach: (path) => plan.engineUser === null || canReach(path, plan.engineUser),
  })
  refuseHalfRestored(dir)
  return await startIn(dir, say, async (parts) => {
    await forgetInterrupted(dir, say)
    parts.stack.use(boundLogs(dir.logDir, logBounds, parts.log))
    return await lead({ ...parts, options, plan, dir, say, startedMs, control: null })
  })
}

/** Starts the control plane; what it starts ends with the stack. */
export async function lead(how: LeadOptions): Promise<RunningCloud> {
  const { options, plan, dir, log, say, signal, stack, startedMs, isLeft, control } = how
  const supervisor = new Supervisor({ runDir: dir.runDir, log })
  const url = await choosePublicUrl(options, readConfig(options, {}).http.publicUrl)
  const tls = await prepareTls(options, dir.path, { host: hostOf(url), say })
  const run: Run = {
    ...{ options, plan, dir, url, tls, log, supervisor, say, control },
    host: control?.membership.name ?? hostname(),
    outer: control?.membership.address ?? (await outerAddress(options.listen)),
    startedAt: new Date(),
    parent: ownParent(),
  }
  // Engines end last, and whatever they and the agent left on the host after them.
  stack.defer(async () => void (isLeft() ? null : await removeLeftovers(dir)))
  stack.defer(async () => (isLeft() ? supervisor.release() : await supervisor.stopAll()))
  const cloud = await Promise.race([startAll(run, stack), interrupted(signal)])
  const ended = stopOnSignal(run, cloud, { signal, stack })
  return { summary: summaryOf(run, (performance.now() - startedMs) / 1000), ended }
}

/** With what the options say of it. The sections are loadConfig's to add. */
function readConfig(options: UpOptions, base: Partial<Config>): Config {
  const { configFile, configOverrides } = options
  return loadConfig({ file: configFile, env: process.env, overrides: configOverrides, base: base as Config })
}

async function startAll(run: Run, stack: AsyncDisposableStack): Promise<Cloud> {
  const { dir, plan, say, log, host } = run
  const state: MainState = {
    identity: mustIdentify(),
    parent: run.parent,
    url: run.url,
    hypervisor: plan.hypervisor,
    network: plan.network,
    startedAt: run.startedAt.toISOString(),
    isReady: false,
    program: ownProgram(),
  }
  writeMainState(dir, state)
  stack.defer(() => removeMainState(dir))
  if (plan.hint) say(plan.hint)
  const base = { dataDir: dir.path, publicUrl: run.url, region, host }
  const sources = { configFile: run.options.configFile, env: process.env }
  const config = readConfig(run.options, base)
  const publicNetwork =
    plan.network === "ovn" ? await choosePublicNetwork(dir, config) : { address: "", overrides: {} }
  const bus = stack.use(await openBus({ url: run.options.brokerUrl ?? null, host, log }))
  const [databaseUrl, parts, image, { startCloud }, { FleetKeeper }] = await Promise.all([
    startDatabase(run, stack, config),
    startHost(run, host, {
      publicAddress: publicNetwork.address,
      bridgeMappings: bridgeMappingsOf(config.network.bridgeMappings),
      fakePace: config.fake.pace,
      ...config.agent,
      networkId: run.control?.networkId ?? dir.facts.cloudId,
      isOneOfSeveral: run.control !== null,
      tunnel: { address: run.outer, type: config.hosts.tunnelType, tenantMtu: config.network.tunnelMtu },
    }),
    // Where another one worked before, that one has registered it.
    run.control ? null : guestImage({ plan, dir, log, say }),
    // While the engines start.
    import("../main.ts"),
    import("./fleet/fleet.ts"),
  ])
  say("starting the control plane")
  const { options } = run
  const listen = {
    host: options.listen,
    port: options.port,
    doors: await doorsOf(options),
    ...(run.tls ? { tls: run.tls.files } : {}),
  }
  const isShared = options.workers > 1
  const cloud = await startCloud({
    base,
    ...sources,
    overrides: { ...options.configOverrides, ...publicNetwork.overrides },
    databaseUrl,
    log,
    passwords: readOrMakePasswords(dir.path),
    network: parts.network,
    metadata: parts.metadata,
    agent: parts.agent,
    guestImage: image,
    bus,
    isOnlyWorker: options.databaseUrl === undefined,
    listen: isShared ? null : listen,
    hosts: hostsPartsOf(run, config, { parts, publicNetwork, base }),
    ...(isShared ? { consoleSocket: consoleSocketPath(dir) } : {}),
  })
  if (cloud.hosts) stack.use(keepOwnCertificate(cloud.platform, cloud.hosts))
  const sockets = localSockets(run, bus, stack)
  if (isShared) {
    const told: ApiRoleParts = {
      base,
      configFile: sources.configFile ?? null,
      overrides: { ...options.configOverrides, ...publicNetwork.overrides },
      databaseUrl,
      busSocket: busSocketPath(dir),
      consoleSocket: consoleSocketPath(dir),
      networkDriver: parts.network.name,
      listen: { ...listen, isShared },
    }
    await sockets.bus()
    await startApiProcesses(run, told, stack)
  }
  const fleet = new FleetKeeper(cloud.platform, {
    ...{ dir, supervisor: run.supervisor },
    openBusSocket: sockets.bus,
    openStreamSocket: () => sockets.streams(cloud.platform.drivers.streams),
  })
  await fleet.start()
  const answers = {
    "/fleet": async (question: unknown) => await fleet.answer(question),
    "/status": async () => await statusOf(run, cloud),
    "/explain": async (question: unknown) =>
      await (await import("./explain-answer.ts")).answerExplain(cloud.platform, question),
    "/host": async (question: unknown) =>
      await (await import("./host-answer.ts")).answerHost(cloud, question),
    "/move": async (question: unknown) =>
      await (await import("./move-answer.ts")).answerMove(cloud.platform, question),
    "/image": async (question: unknown) =>
      await (await import("./image-answer.ts")).answerImage(cloud.platform, question),
    "/volume": async () => await (await import("./volume-answer.ts")).answerVolume(cloud.platform),
    "/volume-backup": async (question: unknown) =>
      await (await import("./volume-backup-answer.ts")).answerVolumeBackup(cloud.platform, question),
    "/keys": async (question: unknown) =>
      await (await import("./keys-answer.ts")).answerKeys(cloud.platform, question),
    "/saga": async (question: unknown) =>
      await (await import("./saga-answer.ts")).answerSaga(cloud.platform, question),
    "/policy": async (question: unknown) =>
      await (await import("./policy-answer.ts")).answerPolicy(cloud.platform, question),
  }
  stack.use(await serveControl(join(dir.runDir, "control.sock"), answers))
  await proveItAnswers({ ...options, tls: run.tls, password: readOrMakePasswords(dir.path).admin })
  const facts = { url: run.url, region, caFile: run.tls?.caFile ?? null }
  writeCredentials(dir.path, { ...facts, passwords: readOrMakePasswords(dir.path) })
  writeJson(join(dir.path, "endpoint.json"), facts, 0o644)
  writeMainState(dir, { ...state, isReady: true })
  return cloud
}

/** What hosts on other machines are told, and what is opened to them. */
function hostsPartsOf(
  { options, plan, outer, dir, control }: Run,
  config: Config,
  { parts, publicNetwork, base }: { parts: HostParts; publicNetwork: PublicNetwork; base: Partial<Config> },
): HostsParts {
  const publicAddress = publicNetwork.address
  const { tunnelType } = config.hosts
  const tenantMtu = config.network.tunnelMtu
  const network = plan.network === "ovn" ? { tunnelType, tenantMtu, publicAddress } : null
  const settings = { region, hypervisor: plan.hypervisor, network }
  const overrides = { ...options.configOverrides, ...publicNetwork.overrides }
  const { databaseUrl, brokerUrl } = options
  const share = async () =>
    await (await import("./control-host/share.ts")).shareControl({
      ...{ dataDir: dir.path, databaseUrl, brokerUrl },
      config: readConfig({ ...options, configOverrides: overrides }, base),
      networkId: control?.networkId ?? dir.facts.cloudId,
    })
  return { listen: options.listen, address: outer, settings, network: parts.hosts, control: { share } }
}

/** The processes that answer; the one that works keeps the rest. */
async function startApiProcesses(run: Run, parts: ApiRoleParts, stack: AsyncDisposableStack): Promise<void> {
  const { dir, options, supervisor, say } = run
  say(`starting ${options.workers} processes that answer requests`)
  writeJson(apiFilePath(dir), parts, 0o600)
  stack.defer(async () => {
    await stopApiProcesses(run)
    rmSync(apiFilePath(dir), { force: true })
  })
  await Promise.all(
    apiProcessNames(options.workers).map((name) =>
      supervisor.start(apiProcessEngine(dir, name, process.env)),
    ),
  )
}

async function stopApiProcesses(run: Run): Promise<void> {
  await Promise.all(apiProcessNames(run.options.workers).map((name) => run.supervisor.stop(name)))
}

async function startDatabase(run: Run, stack: AsyncDisposableStack, config: Config): Promise<string> {
  const { dir, plan, options, log, host, control } = run
  const maxConnections = connectionsOfProcess(config.database) * (options.workers + 1) + spareConnections
  const external = chooseDatabase(dir, options.databaseUrl)
  if (external !== null) {
    const how = { url: external, host, address: run.outer, leaseMs: config.hosts.controlLeaseMs }
    if (!control) run.say(`using PostgreSQL at ${describeDatabase(external)} (DATABASE_URL)`)
    const held = control?.held ?? (await holdDatabase(dir, how))
    stack.use(keepHeld(held, { ...how, dir, log }))
    return external
  }
  run.say("starting PostgreSQL")
  const socketDir = dir.postgresSocketDir
  await run.supervisor.start(
    await postgresEngine({
      dataDir: dir.postgresDir,
      socketDir,
      logFile: join(dir.logDir, "postgres.log"),
      runAs: plan.engineUser,
      isDurable: !options.isEphemeral,
      maxConnections,
    }),
  )
  return postgresUrl(socketDir)
}

async function startHost(
  run: Run,
  host: string,
  configured: Pick<
    HostOptions,
    | "publicAddress"
    | "bridgeMappings"
    | "volumeBackEnds"
    | "imageCacheBytes"
    | "storageNetworks"
    | "fakePace"
    | "cpuDedicatedSet"
    | "networkId"
    | "isOneOfSeveral"
    | "tunnel"
  >,
): Promise<HostParts> {
  const { plan, dir, supervisor, log, say } = run
  if (plan.network === "ovn") say("starting the network (Open vSwitch, OVN)")
  const { startHostParts } = await import("./real-host.ts")
  return await startHostParts({ plan, dir, supervisor, log, host, hostIp: run.outer, say, ...configured })
}

async function stopOnSignal(
  run: Run,
  cloud: Cloud,
  until: { signal: Promise<NodeJS.Signals>; stack: AsyncDisposableStack },
): Promise<void> {
  const signal = await until.signal
  run.log.info({ signal }, "stopping")
  const { graceMs, leavesToNext } = takeStopRequest(run.dir, mustIdentify())
  await stopApiProcesses(run)
  if (leavesToNext) {
    // Guests and engines go on; the next process adopts them, as after a kill -9.
    run.supervisor.release()
    await cloud.stop({ guests: "leave", graceMs: 0 })
    return run.log.info("stopped; guests and engines are left to the next process")
  }
  await cloud.stop({ guests: "power_off", graceMs })
  await until.stack.disposeAsync()
  run.log.info("stopped")
}

function hasProgram(name: string): boolean {
  return (process.env.PATH ?? "").split(":").some((dir) => existsSync(join(dir, name)))
}

function summaryOf(run: Run, seconds: number): string {
  // Other machines may have it; here it takes a word more to follow the example.
  const client = hasProgram("openstack") ? "" : "  apt-get install python3-openstackclient\n"
  return `
Kumoi is running (${seconds.toFixed(1)} s): hypervisor ${run.plan.hypervisor}, network ${run.plan.network}

  dashboard    ${run.url}/dashboard
  API          ${run.url}/identity/v3
  credentials  ${join(run.dir.path, "clouds.yaml")}  (clouds kumoi-admin and kumoi-demo)

${client}  export OS_CLIENT_CONFIG_FILE=${join(run.dir.path, "clouds.yaml")}
  openstack --os-cloud kumoi-demo server list

`
}

export function mustIdentify(): ProcessIdentity {
  const identity = identifyProcess(process.pid)
  if (!identity) throw new Error("cannot read /proc/self/stat")
  return identity
}
