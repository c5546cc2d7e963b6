// What host agents say on their own: that they live, and what became of a machine.
import type { AgentReport, HostDescription } from "../../agent/protocol.ts"
import { agentReportTopic } from "../../agent/protocol.ts"
import { notePools } from "../../block-storage/index.ts"
import { noteCacheHosts } from "../../image/index.ts"
import { noteHostAgents } from "../../network/index.ts"
import { ensureHostProvider, type HostInventory } from "../../placement/index.ts"
import { inParallel } from "../../platform/clock/in-parallel.ts"
import type { Platform } from "../../platform/context/context.ts"
import { transact, translateDatabaseError } from "../../platform/db/database.ts"
import { describeError, toFault } from "../../platform/fault/fault.ts"
import { selectReturned } from "../migration/store.ts"
import { syncMachine } from "../server/power-sync.ts"
import { reconcileOneHost } from "./machines.reconciler.ts"
import { type Ratios, ratiosOfHost } from "./ratio.ts"
import { GatheringQueue, ReportQueue } from "./report-queue.ts"
import { backAfterMs, markSilent, touchHosts, upsertHost } from "./store.ts"
import { traitsOfHost } from "./traits.ts"

/** Of one host at once: looks into the database, which may ask the host back. */
const machinesAtOnce = 8

/** Of hosts that are new or have changed. */
const hostsAtOnce = 16

/** Listens to every agent until disposed. A lost report costs a moment: the next one, or the reconciler, tells the same. */
export async function listenToAgents(platform: Platform): Promise<AsyncDisposable> {
  const take = async (report: MachineReport) => {
    try {
      await syncMachine(platform, report.host, report.serverId, report.state)
    } catch (error) {
      const facts = { err: describeError(error), host: report.host }
      platform.log.warn(facts, "report of an agent was not taken")
    }
  }
  // A host that does not answer for its machines lives nevertheless.
  const alive = new GatheringQueue<AliveReport>(async (reports) => {
    await noteAlive(platform, reports)
    await noteReturns(platform, reports, (host) => leavers.add(host, host, host))
  })
  const machines = new ReportQueue<MachineReport>(machinesAtOnce, take)
  const leavers = new ReportQueue<string>(1, (host) => leaveHost(platform, host))
  return await platform.bus.subscribe(agentReportTopic, (message) => {
    // Only agents publish on this topic, in the type of the protocol.
    const report = message as AgentReport
    if (report.kind === "alive") alive.add(report.host, report)
    else machines.add(report.host, report.serverId, report)
  })
}

type MachineReport = Exclude<AgentReport, { kind: "alive" }>
type AliveReport = Extract<AgentReport, { kind: "alive" }>

async function noteAlive(platform: Platform, reports: readonly AliveReport[]): Promise<void> {
  try {
    await noteHosts(
      platform,
      reports.map(({ host: name, description }) => ({ name, description })),
    )
    await noteCacheHosts(
      platform,
      reports.map(({ host }) => host),
    )
    for (const { host, network } of reports) if (network) await noteHostAgents(platform, host, network)
    await noteBackends(platform, reports)
  } catch (error) {
    const isAway = toFault(translateDatabaseError(error)).kind === "unavailable"
    if (reports.length === 1 || isAway) {
      const facts = { err: describeError(error), hosts: reports.map(({ host }) => host) }
      return platform.log.warn(facts, "reports of agents were not taken")
    }
    // What the database refuses of one host must not keep the others' from it.
    const middle = Math.ceil(reports.length / 2)
    for (const half of [reports.slice(0, middle), reports.slice(middle)]) await noteAlive(platform, half)
  }
}

/** What is left on hosts of servers that were evacuated from them: at once, and again with each report until it is gone. */
async function noteReturns(
  platform: Platform,
  reports: readonly AliveReport[],
  leave: (host: string) => void,
): Promise<void> {
  try {
    const hosts = reports.map(({ host }) => host)
    for (const host of await selectReturned(platform.db, hosts)) leave(host)
  } catch (error) {
    platform.log.warn({ err: describeError(error) }, "it was not looked for servers that have left hosts")
  }
}

/** The reconciler does the same a while later. */
async function leaveHost(platform: Platform, host: string): Promise<void> {
  try {
    await reconcileOneHost(platform, host)
  } catch (error) {
    platform.log.warn(
      { host, err: describeError(error) },
      "machines of a host that is back were not compared",
    )
  }
}

/** A host is there for servers whatever is wrong with its back ends. */
async function noteBackends(platform: Platform, reports: readonly AliveReport[]): Promise<void> {
  try {
    await notePools(
      platform,
      reports.flatMap(({ host, pools }) => (pools ? [{ host, pools }] : [])),
    )
  } catch (error) {
    const facts = { err: describeError(error), hosts: reports.map(({ host }) => host) }
    platform.log.warn(facts, "back ends of hosts were not noted")
  }
}

export async function noteHosts(
  platform: Platform,
  hosts: readonly { name: string; description: HostDescription }[],
): Promise<void> {
  const silentMs = await touchHosts(platform.db, hosts)
  if ([...silentMs.values()].some((each) => each >= backAfterMs)) await platform.sagas.wake(platform.db)
  const others = hosts.filter(({ name }) => !silentMs.has(name))
  await inParallel(others, hostsAtOnce, (host) => noteChangedHost(platform, host))
}

async function noteChangedHost(
  platform: Platform,
  { name, description }: { name: string; description: HostDescription },
): Promise<void> {
  await transact(platform.db, async (tx) => {
    const { host, isChanged } = await upsertHost(tx, { name, description })
    if (!isChanged) return
    await ensureHostProvider(tx, {
      hostId: host.id,
      name,
      inventories: inventoriesOf(platform, description, await ratiosOfHost(platform, tx, name)),
      traits: traitsOfHost(description),
    })
  })
  await platform.sagas.wake(platform.db)
}

/** Its connection is gone: what looks whether it is up need not wait until it has been silent for long. */
export async function noteHostLost(platform: Platform, name: string): Promise<void> {
  await markSilent(platform.db, name, platform.config.compute.serviceDownAfterMs)
}

function inventoriesOf(
  platform: Platform,
  d: HostDescription,
  ratios: Ratios,
): Record<string, HostInventory> {
  const c = platform.config.compute
  const dedicated = d.guestHardware?.dedicatedCpus ?? 0
  return {
    // A host may have set all its processors aside; an inventory of nothing cannot be written.
    ...(d.vcpus > 0 && { VCPU: { total: d.vcpus, allocationRatio: ratios.VCPU, maxUnit: d.vcpus } }),
    ...(dedicated > 0 && { PCPU: { total: dedicated } }),
    MEMORY_MB: {
      total: d.ramMib,
      reserved: Math.min(c.reservedHostMemoryMib, d.ramMib - 1),
      allocationRatio: ratios.MEMORY_MB,
    },
    // The same of a disk of less than a GiB.
    ...(d.diskGib > 0 && { DISK_GB: { total: d.diskGib, allocationRatio: ratios.DISK_GB } }),
  }
}
