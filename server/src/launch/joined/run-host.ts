import { join } from "node:path"
import type { HostSettings } from "../../agent/door-protocol.ts"
import { FakePlugger } from "../../agent/ports/fake-plugger.ts"
import type { AgentParts } from "../../agent-role.ts"
import { eventually, systemClock } from "../../platform/clock/clock.ts"
import { type Config, loadConfig } from "../../platform/config/config.ts"
import type { ProcessIdentity } from "../../platform/exec/process.ts"
import { describeError, Fault } from "../../platform/fault/fault.ts"
import type { Logger } from "../../platform/log/log.ts"
import { boundLogs } from "../../platform/log/rotate.ts"
import { ownProgram } from "../../platform/program/program.ts"
import { Supervisor } from "../../platform/supervise/supervisor.ts"
import {
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
import { removeLeftovers } from "../leftovers.ts"
import { dataWords } from "../options.ts"
import { ownParent } from "../parent.ts"
import { planDrivers, type StartPlan } from "../plan.ts"
import { makeHypervisor, startVolumeDrivers } from "../real-host.ts"
import { mustIdentify, type RunningCloud } from "../run.ts"
import { ownStatus, parentStatus } from "../run-status.ts"
import { interrupted, startIn } from "../start-in.ts"
import type { CloudStatus, ComponentStatus } from "../status.ts"
import type { UpOptions } from "../up-options.ts"
import { DoorClient } from "./door-client.ts"
import { type MemberAgent, startMemberAgent } from "./member-agent.ts"
import { answerMappings, type MappedHost } from "./member-mappings.ts"
import { joinNetwork } from "./member-network.ts"
import { changeMembership, type Membership, readMembership } from "./membership.ts"

/** What a host runs in, whatever it is in its cloud. */
export interface MemberSurroundings {
  options: UpOptions
  membership: Membership
  dir: CloudDir
  log: Logger
  supervisor: Supervisor
  say: (line: string) => void
  startedAt: Date
  parent: ProcessIdentity | null
  /** Of a control host that stands by; left out: of a host that runs machines and no more. */
  standby?: StandbyParts
}

export interface StandbyParts {
  /** The network is set up, and its controller does not look for the southbound database yet. */
  followNetwork: (client: DoorClient, stack: AsyncDisposableStack) => Promise<void>
  /** As `kumoi status` shows it. */
  status: () => ComponentStatus
  /** What is asked of the control plane. */
  elsewhere: () => string
}

interface Run extends MemberSurroundings {
  client: DoorClient
  settings: HostSettings
  plan: StartPlan
}

export async function runHost(
  options: UpOptions,
  membership: Membership,
  say: (line: string) => void,
): Promise<RunningCloud> {
  const startedMs = performance.now()
  await declareConfigSections()
  const config = configOfMember(options, membership)
  const dir = openCloudDir(options.dataDir, { canPostgresReach: () => true })
  return await startIn(dir, say, async ({ log, stack, signal, isLeft }) => {
    const supervisor = new Supervisor({ runDir: dir.runDir, log })
    stack.use(boundLogs(dir.logDir, config.log, log))
    stack.defer(async () => void (isLeft() ? null : await removeLeftovers(dir)))
    stack.defer(async () => (isLeft() ? supervisor.release() : await supervisor.stopAll()))
    const surroundings = {
      ...{ options, membership, dir, log, supervisor, say },
      ...{ startedAt: new Date(), parent: ownParent() },
    }
    const { run, agent } = await Promise.race([startMember(surroundings, config, stack), interrupted(signal)])
    const ended = stopOnSignal(run, agent, { signal, stack })
    return { summary: summaryOf(run, agent, (performance.now() - startedMs) / 1000), ended }
  })
}

export function configOfMember(options: UpOptions, membership: Membership): Config {
  return loadConfig({
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
}

/** The agent and what it stands on; all but engines and the agent itself ends with the stack. */
export async function startMember(
  surroundings: MemberSurroundings,
  config: Config,
  stack: AsyncDisposableStack,
): Promise<{ run: Run; agent: MemberAgent }> {
  const { options, membership, dir, say } = surroundings
  const client = stack.use(new DoorClient({ ...membership, dataDir: dir.path }))
  const settings = await readSettings(client, { dir, membership, say })
  const plan = await planMember(options, { membership, settings, config }, say)
  const run: Run = { ...surroundings, client, settings, plan }
  const agent = await startAll(run, config, stack)
  return { run, agent }
}

/** What runs machines and carries packets on a joined host. */
export async function planMember(
  options: UpOptions,
  { membership, settings, config }: { membership: Membership; settings: HostSettings; config: Config },
  say: (line: string) => void,
): Promise<StartPlan> {
  const chosen = options.hypervisor === "auto" ? membership.hypervisor : options.hypervisor
  const hypervisor = chosen === "auto" && settings.hypervisor === "fake" ? "fake" : chosen
  const network = settings.network === null ? "fake" : "ovn"
  return await planDrivers({ ...options, ...config.agent, hypervisor, network }, say)
}

const settingsFile = (dataDir: string) => join(dataDir, "settings.json")

/** As the cloud said them last; undefined: it never did. */
export function keptSettings(dataDir: string): HostSettings | undefined {
  return readJson<HostSettings>(settingsFile(dataDir))
}

/** From now on it looks for the cloud at these doors, after a restart too. */
function keepSettings({ dir, client }: Pick<Run, "dir" | "client">, settings: HostSettings): void {
  writeJson(settingsFile(dir.path), settings, 0o600)
  client.doors = settings.doors ?? []
  const kept = readMembership(dir.path)
  if (!kept || JSON.stringify(kept.doors) === JSON.stringify(settings.doors)) return
  changeMembership(dir.path, { ...kept, ...(settings.doors ? { doors: settings.doors } : {}) })
}

/** As the cloud says them now; while it is away, as it said them last: guests that run need their network. */
async function readSettings(
  client: DoorClient,
  { dir, membership, say }: Pick<Run, "dir" | "membership" | "say">,
): Promise<HostSettings> {
  try {
    const settings = await fromAnyDoor(client)
    keepSettings({ dir, client }, settings)
    return settings
  } catch (error) {
    if (error instanceof Fault && error.code === "host.member.unknown") throw wasRemoved(membership, dir.path)
    const kept = keptSettings(dir.path)
    if (!kept) throw error
    say(`going on without the cloud: ${error instanceof Fault ? error.message : describeError(error)}`)
    return kept
  }
}

async function fromAnyDoor(client: DoorClient): Promise<HostSettings> {
  for (let left = client.doors.length; ; left--) {
    try {
      return await client.settings()
    } catch (error) {
      // The client has gone on to the next.
      if (left <= 1 || (error instanceof Fault && error.kind !== "unavailable")) throw error
    }
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
    onSettings: (settings) => keepSettings(run, settings),
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
      run.standby?.elsewhere ??
        (() =>
          `This machine is the host ${membership.name} of the cloud at ${client.door}; ask on that cloud's first host.`),
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
  const beforeRelay = async () => await run.standby?.followNetwork(run.client, stack)
  const network = settings.network
    ? await joinNetwork({ ...run, ...agent, network: settings.network, beforeRelay }, stack)
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
    detail: problem === null ? run.client.door : `${run.client.door}: ${problem}`,
  }
  const engines = run.supervisor.status().map((e) => ({ ...e, kind: "engine" as const, detail: e.lastError }))
  const components = [
    ownStatus(run),
    ...parentStatus(run),
    ...engines,
    link,
    ...(run.standby ? [run.standby.status()] : []),
  ]
  return {
    state: "running",
    url: run.client.door,
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
