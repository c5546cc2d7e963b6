import { join } from "node:path"
import type { HostSettings } from "../../agent/door-protocol.ts"
import { FakePlugger } from "../../agent/ports/fake-plugger.ts"
import type { AgentParts } from "../../agent-role.ts"
import { eventually, systemClock } from "../../platform/clock/clock.ts"
import { type Config, loadConfig } from "../../platform/config/config.ts"
import type { ProcessIdentity } from "../../platform/exec/process.ts"
import { describeError, Fault } from "../../platform/fault/fault.ts"
import { createLogger, type Logger } from "../../platform/log/log.ts"
import { boundLogs } from "../../platform/log/rotate.ts"
import { ownProgram } from "../../platform/program/program.ts"
import { Supervisor } from "../../platform/supervise/supervisor.ts"
import {
  acquireCloudLock,
  type CloudDir,
  openCloudDir,
  readJson,
  removeMainState,
  takeStopRequest,
  writeJson,
  writeMainState,
} from "../cloud-dir.ts"
import { declareConfigSections } from "../config-sections.ts"
import { serveControl } from "../control.ts"
import { isContinuation, removeLeftovers } from "../leftovers.ts"
import { dataWords } from "../options.ts"
import { endWhenUncaught, ownParent } from "../parent.ts"
import { planDrivers, type StartPlan } from "../plan.ts"
import { makeHypervisor, startVolumeDrivers } from "../real-host.ts"
import {
  firstSignal,
  interrupted,
  isInterruption,
  mustIdentify,
  ownStatus,
  parentStatus,
  type RunningCloud,
} from "../run.ts"
import type { CloudStatus, ComponentStatus } from "../status.ts"
import type { UpOptions } from "../up-options.ts"
import { DoorClient } from "./door-client.ts"
import { type MemberAgent, startMemberAgent } from "./member-agent.ts"
import { answerMappings, type MappedHost } from "./member-mappings.ts"
import { joinNetwork } from "./member-network.ts"
import type { Membership } from "./membership.ts"

interface Run {
  options: UpOptions
  membership: Membership
  dir: CloudDir
  log: Logger
  supervisor: Supervisor
  client: DoorClient
  settings: HostSettings
  plan: StartPlan
  say: (line: string) => void
  startedAt: Date
  parent: ProcessIdentity | null
}

export async function runHost(
  options: UpOptions,
  membership: Membership,
  say: (line: string) => void,
): Promise<RunningCloud> {
  const startedMs = performance.now()
  await declareConfigSections()
  const config = loadConfig({
    file: options.configFile,
    env: process.env,
    overrides: options.configOverrides,
    base: {
      dataDir: options.dataDir,
      publicUrl: membership.door,
      region: "",
      host: membership.name,
    } as never,
  })
  const dir = openCloudDir(options.dataDir, { canPostgresReach: () => true })
  const stack = new AsyncDisposableStack()
  stack.use(acquireCloudLock(dir))
  const signal = firstSignal()
  const isContinued = isContinuation(dir)
  let isLeft = false
  try {
    const log = createLogger({
      file: join(dir.logDir, "kumoi.log"),
      level: process.env.KUMOI_LOG_LEVEL ?? "info",
    })
    endWhenUncaught(log)
    const supervisor = new Supervisor({ runDir: dir.runDir, log })
    stack.use(boundLogs(dir.logDir, config.log, log))
    const client = stack.use(new DoorClient({ door: membership.door, dataDir: dir.path }))
    const settings = await readSettings(client, { dir, membership, say })
    const chosen = options.hypervisor === "auto" ? membership.hypervisor : options.hypervisor
    const hypervisor = chosen === "auto" && settings.hypervisor === "fake" ? "fake" : chosen
    const network = settings.network === null ? "fake" : "ovn"
    const plan = await planDrivers({ ...options, ...config.agent, hypervisor, network }, say)
    const run: Run = {
      ...{ options, membership, dir, log, supervisor, client, settings, plan, say },
      startedAt: new Date(),
      parent: ownParent(),
    }
    stack.defer(async () => void (isLeft ? null : await removeLeftovers(dir)))
    stack.defer(async () => (isLeft ? supervisor.release() : await supervisor.stopAll()))
    const agent = await Promise.race([startAll(run, config, stack), interrupted(signal)])
    const ended = stopOnSignal(run, agent, { signal, stack })
    return { summary: summaryOf(run, agent, (performance.now() - startedMs) / 1000), ended }
  } catch (error) {
    // Guests that ran before this start run on after it, for a start that succeeds.
    isLeft = isContinued && !isInterruption(error)
    say(isLeft ? "leaving guests and engines as they are" : "stopping what was started")
    await stack.disposeAsync()
    throw error
  }
}

/** As the cloud says them now; while it is away, as it said them last: guests that run need their network. */
async function readSettings(
  client: DoorClient,
  { dir, membership, say }: Pick<Run, "dir" | "membership" | "say">,
): Promise<HostSettings> {
  const file = join(dir.path, "settings.json")
  try {
    const settings = await client.settings()
    writeJson(file, settings, 0o600)
    return settings
  } catch (error) {
    if (error instanceof Fault && error.code === "host.member.unknown") throw wasRemoved(membership, dir.path)
    const kept = readJson<HostSettings>(file)
    if (!kept) throw error
    say(`going on without the cloud: ${error instanceof Fault ? error.message : describeError(error)}`)
    return kept
  }
}

function wasRemoved({ name, door }: Membership, dataDir: string): Fault {
  const message =
    `This is the host ${name} of the cloud at ${door}, and it was removed from it. To join again, and to be rid of ` +
    `what is left of it here: ./kumoi down --purge${dataWords(dataDir)}`
  return new Fault("forbidden", "cli.host_removed", message)
}

/** A cloud that is away is waited for so long; the host runs without it, and connects when it is back. */
const linkTimeoutMs = 15_000

async function startAll(run: Run, config: Config, stack: AsyncDisposableStack): Promise<MemberAgent> {
  const { dir, membership, plan, log, client } = run
  const state = {
    identity: mustIdentify(),
    parent: run.parent,
    url: membership.door,
    hypervisor: plan.hypervisor,
    network: plan.network,
    startedAt: run.startedAt.toISOString(),
    isReady: false,
    program: ownProgram(),
  }
  writeMainState(dir, state)
  stack.defer(() => removeMainState(dir))
  const { mapBridges, ...parts } = await startParts(run, config, stack)
  const agent = await startMemberAgent({
    ...{ membership, dataDir: dir.path, client, log, parts },
    clock: systemClock,
  })
  const mapped: MappedHost = {
    ...{ dataDir: dir.path, mapBridges },
    sayAlive: () => agent.role.agent.sayAlive(),
  }
  stack.use(
    await serveControl(
      join(dir.runDir, "control.sock"),
      {
        "/status": async () => statusOf(run, agent),
        "/bridge-mappings": (asked) => answerMappings(mapped, asked),
      },
      () =>
        `This machine is the host ${membership.name} of the cloud at ${membership.door}; ask on that cloud's first host.`,
    ),
  )
  run.say("connecting to the cloud")
  await eventually("the cloud", () => agent.link().isConnected, { timeoutMs: linkTimeoutMs }).catch(() => {})
  writeMainState(dir, { ...state, isReady: true })
  return agent
}

interface MemberParts extends AgentParts {
  /** Null: the network is simulated. */
  mapBridges: MappedHost["mapBridges"]
}

async function startParts(run: Run, config: Config, stack: AsyncDisposableStack): Promise<MemberParts> {
  const { plan, dir, log, membership, settings, supervisor, say } = run
  const { fake, agent } = config
  if (settings.network) say("starting the network (Open vSwitch, OVN)")
  const network = settings.network
    ? await joinNetwork({ ...run, ...agent, network: settings.network }, stack)
    : { ports: new FakePlugger(), metadata: null, mapBridges: null }
  const host = { host: membership.name, hostIp: membership.address }
  const { volumeBackEnds, cpuDedicatedSet } = agent
  const facts = { plan, dir, log, ...host, fakePace: fake.pace, volumeBackEnds, cpuDedicatedSet, say }
  const hypervisor = await makeHypervisor(facts, network.ports)
  const volumes = await startVolumeDrivers({ ...facts, supervisor })
  const imageCacheBytes = plan.hypervisor === "qemu" ? agent.imageCacheBytes : null
  return { hypervisor, ...network, volumes, imageCacheBytes }
}

async function stopOnSignal(
  run: Run,
  agent: MemberAgent,
  until: { signal: Promise<NodeJS.Signals>; stack: AsyncDisposableStack },
): Promise<void> {
  const signal = await until.signal
  run.log.info({ signal }, "stopping")
  const { graceMs, leavesToNext } = takeStopRequest(run.dir, mustIdentify())
  if (leavesToNext) {
    run.supervisor.release()
    await agent.stop({ guests: "leave", graceMs: 0 })
    return run.log.info("stopped; guests and engines are left to the next process")
  }
  await agent.stop({ guests: "power_off", graceMs })
  await until.stack.disposeAsync()
  run.log.info("stopped")
}

function statusOf(run: Run, agent: MemberAgent): CloudStatus {
  const { isConnected, problem } = agent.link()
  const link: ComponentStatus = {
    name: "cloud",
    kind: "external",
    state: isConnected ? "ok" : "failing",
    ...{ pid: null, since: null, memoryBytes: 0, restarts: 0 },
    detail: problem === null ? run.membership.door : `${run.membership.door}: ${problem}`,
  }
  const engines = run.supervisor.status().map((e) => ({ ...e, kind: "engine" as const, detail: e.lastError }))
  const components = [ownStatus(run), ...parentStatus(run), ...engines, link]
  return {
    state: "running",
    url: run.membership.door,
    dataDir: run.dir.path,
    hypervisor: run.plan.hypervisor,
    network: run.plan.network,
    memoryBytes: components.reduce((sum, c) => sum + c.memoryBytes, 0),
    components,
  }
}

function summaryOf({ membership, plan }: Run, agent: MemberAgent, seconds: number): string {
  const { isConnected, problem } = agent.link()
  const link = isConnected
    ? `is a host of the cloud at ${membership.door}`
    : `cannot reach its cloud at ${membership.door} (${problem}); it goes on trying`
  return `
This machine ${link} (${seconds.toFixed(1)} s)

  name         ${membership.name}
  address      ${membership.address}
  machines by  ${plan.hypervisor}, network ${plan.network}

`
}
