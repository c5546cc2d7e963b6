// Runs one cloud in this process: engines first, then the control plane, then the proof that it answers.
import { rmSync } from "node:fs"
import { hostname } from "node:os"
import { join } from "node:path"
import { type Cloud, startCloud } from "../main.ts"
import { type Config, loadConfig } from "../platform/config/config.ts"
import { identifyProcess, processMemoryBytes } from "../platform/exec/process.ts"
import { Fault } from "../platform/fault/fault.ts"
import { createLogger, type Logger } from "../platform/log/log.ts"
import { Supervisor } from "../platform/supervise/supervisor.ts"
import {
  acquireCloudLock,
  type CloudDir,
  canReach,
  type MainState,
  openCloudDir,
  readJson,
  readOrMakePasswords,
  removeMainState,
  stopRequestPath,
  writeJson,
  writeMainState,
} from "./cloud-dir.ts"
import { serveControl } from "./control.ts"
import { writeCredentials } from "./credentials.ts"
import { postgresEngine, postgresUrl } from "./engines/postgres.ts"
import { guestImage } from "./guest-image.ts"
import { answerKeys } from "./keys-answer.ts"
import { removeLeftovers } from "./leftovers.ts"
import { planStart, type StartPlan } from "./plan.ts"
import { answerPolicy } from "./policy-answer.ts"
import { choosePublicNetwork } from "./public-network.ts"
import { type HostParts, startHostParts } from "./real-host.ts"
import type { CloudStatus } from "./status.ts"
import type { UpOptions } from "./up-options.ts"

export interface RunningCloud {
  /** What `up` prints at its end. */
  summary: string
  /** Resolves when the cloud has been stopped. */
  ended: Promise<void>
}

const region = "RegionOne"
/** Guests get this long to power off by themselves when the process is told to stop. */
const guestGraceMs = 20_000

interface Run {
  options: UpOptions
  plan: StartPlan
  dir: CloudDir
  url: string
  log: Logger
  supervisor: Supervisor
  say: (line: string) => void
  startedAt: Date
}

export async function runCloud(options: UpOptions, say: (line: string) => void): Promise<RunningCloud> {
  const startedMs = performance.now()
  const plan = await planStart(options, say)
  const dir = openCloudDir(options.dataDir, {
    canPostgresReach: (path) => plan.engineUser === null || canReach(path, plan.engineUser),
  })
  const stack = new AsyncDisposableStack()
  stack.use(acquireCloudLock(dir))
  const signal = firstSignal()
  try {
    const log = createLogger({
      file: join(dir.logDir, "kumoi.log"),
      level: process.env.KUMOI_LOG_LEVEL ?? "info",
    })
    const supervisor = new Supervisor({ runDir: dir.runDir, log })
    const url = `http://${options.listen === "0.0.0.0" ? hostname() : options.listen}:${options.port}`
    const run: Run = { options, plan, dir, url, log, supervisor, say, startedAt: new Date() }
    // Engines end last, and whatever they and the agent left on the host after them.
    stack.defer(async () => void (await removeLeftovers(dir)))
    stack.defer(async () => await supervisor.stopAll())
    const cloud = await Promise.race([startAll(run, stack), interrupted(signal)])
    const ended = stopOnSignal(run, cloud, { signal, stack })
    return { summary: summaryOf(run, (performance.now() - startedMs) / 1000), ended }
  } catch (error) {
    say("stopping what was started")
    await stack.disposeAsync()
    throw error
  }
}

async function startAll(run: Run, stack: AsyncDisposableStack): Promise<Cloud> {
  const { dir, plan, say, log } = run
  const state: MainState = {
    identity: mustIdentify(),
    url: run.url,
    hypervisor: plan.hypervisor,
    network: plan.network,
    startedAt: run.startedAt.toISOString(),
    isReady: false,
  }
  writeMainState(dir, state)
  stack.defer(() => removeMainState(dir))
  if (plan.hint) say(plan.hint)
  const host = hostname()
  const base = { dataDir: dir.path, publicUrl: run.url, region, host }
  const sources = { configFile: run.options.configFile, env: process.env }
  const config = loadConfig({ file: sources.configFile, env: sources.env, base: base as Config })
  const publicNetwork =
    plan.network === "ovn" ? await choosePublicNetwork(dir, config) : { address: "", overrides: {} }
  const [databaseUrl, parts, image] = await Promise.all([
    startDatabase(run),
    startHost(run, host, publicNetwork.address),
    guestImage({ plan, dir, log, say }),
  ])
  say("starting the control plane")
  const cloud = await startCloud({
    base,
    ...sources,
    overrides: publicNetwork.overrides,
    databaseUrl,
    log,
    passwords: readOrMakePasswords(dir.path),
    network: parts.network,
    metadata: parts.metadata,
    agent: parts.agent,
    guestImage: image,
    listen: { host: run.options.listen, port: run.options.port },
  })
  const answers = {
    "/status": async () => await statusOf(run, cloud),
    "/keys": async (question: unknown) => await answerKeys(cloud.platform, question),
    "/policy": async (question: unknown) => await answerPolicy(cloud.platform, question),
  }
  stack.use(await serveControl(join(dir.runDir, "control.sock"), answers))
  await proveItAnswers(run)
  writeCredentials(dir.path, { url: run.url, region, passwords: readOrMakePasswords(dir.path) })
  writeJson(join(dir.path, "endpoint.json"), { url: run.url, region }, 0o644)
  writeMainState(dir, { ...state, isReady: true })
  return cloud
}

async function startDatabase(run: Run): Promise<string> {
  const { dir, plan, options } = run
  run.say("starting PostgreSQL")
  const socketDir = dir.postgresSocketDir
  await run.supervisor.start(
    await postgresEngine({
      dataDir: dir.postgresDir,
      socketDir,
      logFile: join(dir.logDir, "postgres.log"),
      runAs: plan.engineUser,
      isDurable: !options.isEphemeral,
    }),
  )
  return postgresUrl(socketDir)
}

async function startHost(run: Run, host: string, publicAddress: string): Promise<HostParts> {
  const { plan, dir, supervisor, log, say } = run
  if (plan.network === "ovn") say("starting the network (Open vSwitch, OVN)")
  return await startHostParts({ plan, dir, supervisor, log, host, hostIp: "127.0.0.1", publicAddress, say })
}

/** The promise of `up`: when it returns, an authenticated request works. */
async function proveItAnswers(run: Run): Promise<void> {
  const { admin } = readOrMakePasswords(run.dir.path)
  const domain = { id: "default" }
  const response = await fetch(`http://${run.options.listen}:${run.options.port}/identity/v3/auth/tokens`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      auth: {
        identity: { methods: ["password"], password: { user: { name: "admin", domain, password: admin } } },
        scope: { project: { name: "admin", domain } },
      },
    }),
  })
  if (response.status !== 201)
    throw new Error(`the first log-in was answered ${response.status}: ${await response.text()}`)
}

/** SIGTERM or SIGINT, whichever comes first; from then on neither ends the process by itself. */
function firstSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => resolve(signal))
  })
}

/** Ctrl-C in the middle of a start leaves no half-started cloud. */
async function interrupted(signal: Promise<NodeJS.Signals>): Promise<never> {
  const name = await signal
  throw new Fault("precondition", "cli.interrupted", `Stopped by ${name} before the cloud was running.`)
}

async function stopOnSignal(
  run: Run,
  cloud: Cloud,
  until: { signal: Promise<NodeJS.Signals>; stack: AsyncDisposableStack },
): Promise<void> {
  const signal = await until.signal
  run.log.info({ signal }, "stopping")
  const asked = readJson<{ graceMs: number }>(stopRequestPath(run.dir))
  rmSync(stopRequestPath(run.dir), { force: true })
  await cloud.stop({ guests: "power_off", graceMs: asked?.graceMs ?? guestGraceMs })
  await until.stack.disposeAsync()
  run.log.info("stopped")
}

async function statusOf(run: Run, cloud: Cloud): Promise<CloudStatus> {
  const own = {
    name: "kumoi",
    kind: "process" as const,
    state: "running",
    pid: process.pid,
    since: run.startedAt.toISOString(),
    memoryBytes: processMemoryBytes(process.pid),
    restarts: 0,
    detail: null,
  }
  const engines = run.supervisor.status().map((e) => ({ ...e, kind: "engine" as const, detail: e.lastError }))
  const components = [own, ...engines, ...(await cloud.services())]
  return {
    state: "running",
    url: run.url,
    dataDir: run.dir.path,
    hypervisor: run.plan.hypervisor,
    network: run.plan.network,
    memoryBytes: components.reduce((sum, c) => sum + c.memoryBytes, 0),
    components,
  }
}

function summaryOf(run: Run, seconds: number): string {
  return `
Kumoi is running (${seconds.toFixed(1)} s): hypervisor ${run.plan.hypervisor}, network ${run.plan.network}

  dashboard    ${run.url}/dashboard
  API          ${run.url}/identity/v3
  credentials  ${join(run.dir.path, "clouds.yaml")}  (clouds kumoi-admin and kumoi-demo)

  export OS_CLIENT_CONFIG_FILE=${join(run.dir.path, "clouds.yaml")}
  openstack --os-cloud kumoi-demo server list

`
}

function mustIdentify() {
  const identity = identifyProcess(process.pid)
  if (!identity) throw new Error("cannot read /proc/self/stat")
  return identity
}
