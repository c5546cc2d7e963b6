// A control host, one of several of a cloud: works when it has the lock on the database, and stands by when another one
// has it. Standing by it is a host like those that joined, follows the network's databases, and has what is shared.
import { existsSync } from "node:fs"
import { join } from "node:path"
import { stringify } from "yaml"
import type { ControlShare } from "../../agent/door-protocol.ts"
import type { Config } from "../../platform/config/config.ts"
import { describeError } from "../../platform/fault/fault.ts"
import type { Logger } from "../../platform/log/log.ts"
import { boundLogs } from "../../platform/log/rotate.ts"
import { bridgeMappingsOf, ownPublicNetwork } from "../../platform/net/bridge-mappings.ts"
import { endLeftEngines, Supervisor } from "../../platform/supervise/supervisor.ts"
import {
  type CloudDir,
  openCloudDir,
  readJson,
  refuseHalfRestored,
  takeStopRequest,
  writeJson,
  writeWhole,
} from "../cloud-dir.ts"
import { declareConfigSections } from "../config-sections.ts"
import { describeDatabase, openDatabaseLock, recordDatabase } from "../database.ts"
import { DoorClient } from "../joined/door-client.ts"
import type { MemberAgent } from "../joined/member-agent.ts"
import type { Membership } from "../joined/membership.ts"
import { configOfMember, keptSettings, planMember, startMember } from "../joined/run-host.ts"
import { removeLeftovers } from "../leftovers.ts"
import { crashedExitCode, ownParent } from "../parent.ts"
import { planStart, type StartPlan } from "../plan.ts"
import { lead, mustIdentify, type RunningCloud } from "../run.ts"
import { interrupted, type StartParts, startIn } from "../start-in.ts"
import type { UpOptions } from "../up-options.ts"
import { followNetwork } from "./follow-network.ts"
import type { HeldLock, Holder, LockSeeker } from "./lock.ts"
import { checkDirectories, keepFiles } from "./share.ts"

interface Host extends StartParts {
  options: UpOptions
  membership: Membership
  dir: CloudDir
  config: Config
  plan: StartPlan
  networkId: string
  seeker: LockSeeker
  say: (line: string) => void
}

export async function runControlHost(
  given: UpOptions,
  member: Membership,
  say: (line: string) => void,
): Promise<RunningCloud> {
  const startedMs = performance.now()
  await declareConfigSections()
  const dir = openCloudDir(given.dataDir, { canPostgresReach: () => true })
  refuseHalfRestored(dir)
  return await startIn(dir, say, async (parts) => {
    const share = readShare(dir.path) ?? (given.databaseUrl ? null : await fetchShare(dir.path, member))
    const options = withShare(given, dir.path, share)
    const config = configOfMember(options, member)
    parts.stack.use(boundLogs(dir.logDir, config.log, parts.log))
    if (share) checkDirectories(share.directories)
    const plan = await planControl(options, { member, config, dataDir: dir.path }, say)
    const url = options.databaseUrl ?? ""
    const { controlLeaseMs: leaseMs } = config.hosts
    const seeker = parts.stack.use(
      await openDatabaseLock({ url, host: member.name, address: member.address, leaseMs }),
    )
    recordDatabase(dir, url)
    say(`using PostgreSQL at ${describeDatabase(url)} (DATABASE_URL)`)
    const host: Host = {
      ...{ ...parts, options, dir, config, plan, seeker, say },
      membership: { ...member, ...publicWay(config) },
      networkId: share?.networkId ?? dir.facts.cloudId,
    }
    const held = await seeker.take()
    return held ? await work(host, held, startedMs) : await standBy(host, startedMs)
  })
}

async function work(host: Host, held: HeldLock, startedMs: number): Promise<RunningCloud> {
  const { membership, networkId } = host
  return await lead({ ...host, startedMs, control: { membership, networkId, held } })
}

/** As on the cloud's first host: its networks reach the outside by the bridges of the configuration. */
function publicWay({ network }: Config): Pick<Membership, "isPublic" | "bridgeMappings"> {
  const bridgeMappings = bridgeMappingsOf(network.bridgeMappings)
  return { bridgeMappings, isPublic: !Object.hasOwn(bridgeMappings, ownPublicNetwork) }
}

async function planControl(
  options: UpOptions,
  { member, config, dataDir }: { member: Membership; config: Config; dataDir: string },
  say: (line: string) => void,
): Promise<StartPlan> {
  const settings = keptSettings(dataDir)
  if (!settings) return await planStart(options, config.agent, say)
  const { hypervisor, network } = await planMember(options, { membership: member, settings, config }, say)
  return await planStart({ ...options, hypervisor, network }, config.agent, say)
}

const shareFile = (dataDir: string) => join(dataDir, "control.json")
const configFile = (dataDir: string) => join(dataDir, "control.yaml")

type KeptShare = Omit<ControlShare, "files" | "config">

function readShare(dataDir: string): KeptShare | null {
  return readJson<KeptShare>(shareFile(dataDir)) ?? null
}

async function fetchShare(dataDir: string, member: Membership): Promise<KeptShare> {
  using client = new DoorClient({ ...member, dataDir })
  return await keepShare(dataDir, await client.controlShare())
}

/** The facts come last: without them it is fetched again. */
async function keepShare(dataDir: string, share: ControlShare): Promise<KeptShare> {
  const { files, config, ...kept } = share
  await keepFiles(dataDir, files)
  writeWhole(configFile(dataDir), stringify(config), 0o600)
  writeJson(shareFile(dataDir), kept, 0o600)
  return kept
}

/** What the operator says on this host comes first. */
function withShare(options: UpOptions, dataDir: string, share: KeptShare | null): UpOptions {
  const kept = configFile(dataDir)
  return {
    ...options,
    configFile: options.configFile ?? (existsSync(kept) ? kept : undefined),
    databaseUrl: options.databaseUrl ?? share?.databaseUrl,
    brokerUrl: options.brokerUrl ?? share?.brokerUrl ?? undefined,
  }
}

async function standBy(host: Host, startedMs: number): Promise<RunningCloud> {
  const { options, dir, config, plan, log, signal, say } = host
  const standing = new AsyncDisposableStack()
  const supervisor = new Supervisor({ runDir: dir.runDir, log })
  let isTaken = false
  // As a joined host's, unless the control plane has taken them over.
  host.stack.defer(async () => void (isTaken || host.isLeft() ? null : await removeLeftovers(dir)))
  host.stack.defer(async () => (isTaken || host.isLeft() ? supervisor.release() : await supervisor.stopAll()))
  host.stack.defer(async () => await standing.disposeAsync())
  let holder: Holder | null = await host.seeker.holder()
  const works = () => holder?.host ?? "another control host"
  say(`${works()} works; this control host stands by`)
  const doorOf = ({ address }: Holder) =>
    `https://${address.includes(":") ? `[${address}]` : address}:${config.hosts.port}`
  // The database knows where the one is that works, also when that has changed while this host was away.
  const doors = [holder ? [doorOf(holder)] : [], host.membership.door, host.membership.doors ?? []].flat()
  const [door = host.membership.door] = doors
  const membership = { ...host.membership, door, doors: [...new Set(doors)] }
  // It ran where the control plane worked before.
  await endLeftEngines(dir.runDir, ["ovn-northd"])
  const surroundings = {
    ...{ options, membership, dir, log, supervisor, say },
    ...{ startedAt: new Date(), parent: ownParent() },
    standby: {
      followNetwork: async (by: DoorClient, at: AsyncDisposableStack) =>
        await followNetwork({ client: by, supervisor, dir, log }, at),
      status: () => ({
        name: "control plane",
        kind: "service" as const,
        state: "ok",
        ...{ pid: null, since: null, memoryBytes: 0, restarts: 0 },
        detail: `stands by; ${works()} works`,
      }),
      elsewhere: () => `This control host stands by; ${works()} works: ask there.`,
    },
  }
  const started = await Promise.race([startMember(surroundings, config, standing), interrupted(signal)])
  const { agent } = started
  const { client } = started.run
  standing.use(keepShared(dir.path, client, log))
  // What it takes to work is loaded already when it is needed.
  void Promise.all([import("../../main.ts"), import("../fleet/fleet.ts")])
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
  const ended = (async () => {
    const held = await untilHeld(host, signal, (found) => {
      if (found && found.address !== holder?.address) client.prefer(doorOf(found))
      holder = found
    })
    if (held) {
      isTaken = true
      return await takeOver(host, held, { agent, supervisor, standing })
    }
    const { graceMs, leavesToNext } = takeStopRequest(dir, mustIdentify())
    if (leavesToNext) {
      supervisor.release()
      await agent.stop({ guests: "leave", graceMs: 0 })
      return log.info("stopped; guests and engines are left to the next process")
    }
    await agent.stop({ guests: "power_off", graceMs })
    await host.stack.disposeAsync()
    log.info("stopped")
  })()
  const summary = `
This control host stands by (${seconds} s): ${works()} works

  name         ${membership.name}
  address      ${membership.address}
  machines by  ${plan.hypervisor}, network ${plan.network}

`
  return { summary, ended }
}

/** A command that is under way, a long copy perhaps, ends with the process, which is soon started again. */
const letGoWithinMs = 2_000

async function inTime(ended: Promise<void>): Promise<void> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(new Error("commands are under way")), letGoWithinMs)
  await Promise.race([ended, late.promise]).finally(() => clearTimeout(timer))
}

/** Guests, switch and controller go on; the agent is this process's own from then on. */
async function takeOver(
  host: Host,
  held: HeldLock,
  {
    agent,
    supervisor,
    standing,
  }: { agent: MemberAgent; supervisor: Supervisor; standing: AsyncDisposableStack },
): Promise<void> {
  const { log } = host
  const startedMs = performance.now()
  log.warn("nobody works; this control host takes over")
  try {
    await inTime(agent.letGo())
    supervisor.release()
    await standing.disposeAsync()
    const cloud = await work(host, held, startedMs)
    log.warn({ tookMs: Math.round(performance.now() - startedMs) }, "this control host works")
    await cloud.ended
  } catch (error) {
    // Its parent starts it again, and meanwhile another one may have the lock.
    log.fatal({ err: error }, "the control plane could not be taken over; the process ends")
    log.flush()
    process.exit(crashedExitCode)
  }
}

const lookEveryMs = 500

/** Null: told to stop. */
async function untilHeld(
  { seeker, log }: Host,
  signal: Promise<NodeJS.Signals>,
  onHolder: (holder: Holder | null) => void,
): Promise<HeldLock | null> {
  let isStopped = false
  const stopped = signal.then(() => {
    isStopped = true
  })
  while (!isStopped) {
    try {
      const held = await seeker.take()
      if (held) return held
      const silent = await seeker.endSilent()
      if (silent) log.warn(silent, "the control host that works has been silent; its session was ended")
      else onHolder(await seeker.holder())
    } catch (error) {
      log.warn({ error: describeError(error) }, "who works is not known: the database cannot be asked")
    }
    let timer: NodeJS.Timeout | undefined
    const later = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, lookEveryMs)
    })
    await Promise.race([later, stopped])
    clearTimeout(timer)
  }
  return null
}

const shareEveryMs = 30_000

/** Secrets and rules change while the other one works. */
function keepShared(dataDir: string, client: DoorClient, log: Logger): Disposable {
  const look = () =>
    void client
      .controlShare()
      .then(async (share) => await keepShare(dataDir, share))
      .catch((error: unknown) => {
        log.info({ error: describeError(error) }, "what control hosts share could not be read")
      })
  look()
  const timer = setInterval(look, shareEveryMs)
  return { [Symbol.dispose]: () => clearInterval(timer) }
}
