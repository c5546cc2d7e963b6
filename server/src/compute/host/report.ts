// What host agents say on their own: that they live, and what became of a machine.
import type { AgentReport, HostDescription } from "../../agent/protocol.ts"
import { agentReportTopic } from "../../agent/protocol.ts"
import { noteHostAgents } from "../../network/index.ts"
import { ensureHostProvider, type HostInventory } from "../../placement/index.ts"
import type { Platform } from "../../platform/context/context.ts"
import { transact } from "../../platform/db/database.ts"
import { describeError } from "../../platform/fault/fault.ts"
import { syncMachine } from "../server/power-sync.ts"
import { type Ratios, ratiosOfHost } from "./ratio.ts"
import { ReportQueue } from "./report-queue.ts"
import { markSilent, touchHost, upsertHost } from "./store.ts"

/** Of one host at once: looks into the database, which may ask the host back. */
const machinesAtOnce = 8

/** Listens to every agent until disposed. A lost report costs a moment: the next one, or the reconciler, tells the same. */
export async function listenToAgents(platform: Platform): Promise<AsyncDisposable> {
  const take = async (report: AgentReport) => {
    try {
      await handleReport(platform, report)
    } catch (error) {
      const facts = { err: describeError(error), host: report.host }
      platform.log.warn(facts, "report of an agent was not taken")
    }
  }
  // A host that does not answer for its machines lives nevertheless.
  const alive = new ReportQueue<AgentReport>(1, take)
  const machines = new ReportQueue<AgentReport>(machinesAtOnce, take)
  return await platform.bus.subscribe(agentReportTopic, (message) => {
    // Only agents publish on this topic, in the type of the protocol.
    const report = message as AgentReport
    if (report.kind === "alive") alive.add(report.host, report.kind, report)
    else machines.add(report.host, report.serverId, report)
  })
}

async function handleReport(platform: Platform, report: AgentReport): Promise<void> {
  if (report.kind === "alive") {
    await noteHost(platform, report.host, report.description)
    if (report.network) await noteHostAgents(platform, report.host, report.network.problem)
  } else await syncMachine(platform, report.host, report.serverId, report.state)
}

/** A host that was silent for two reports is back with the third: what waited for it goes on. */
const backAfterMs = 25_000

export async function noteHost(
  platform: Platform,
  name: string,
  description: HostDescription,
): Promise<void> {
  const found = await touchHost(platform.db, { name, description })
  if (found && found.silentMs < backAfterMs) return
  if (found) return await platform.sagas.wake(platform.db)
  await transact(platform.db, async (tx) => {
    const { host, isChanged } = await upsertHost(tx, { name, description })
    if (!isChanged) return
    await ensureHostProvider(tx, {
      hostId: host.id,
      name,
      inventories: inventoriesOf(platform, description, await ratiosOfHost(platform, tx, name)),
      traits: traitsOf(description),
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
  return {
    VCPU: { total: d.vcpus, allocationRatio: ratios.VCPU, maxUnit: Math.max(d.vcpus, 1) },
    MEMORY_MB: {
      total: d.ramMib,
      reserved: Math.min(c.reservedHostMemoryMib, d.ramMib - 1),
      allocationRatio: ratios.MEMORY_MB,
    },
    // A disk of less than a GiB offers none; an inventory of nothing cannot be written.
    ...(d.diskGib > 0 && { DISK_GB: { total: d.diskGib, allocationRatio: ratios.DISK_GB } }),
  }
}

function traitsOf(d: HostDescription): string[] {
  return [
    "COMPUTE_NODE",
    "COMPUTE_DEVICE_TAGGING",
    "COMPUTE_NET_ATTACH_INTERFACE",
    ...(d.abilities.snapshot ? ["COMPUTE_IMAGE_TYPE_QCOW2", "COMPUTE_IMAGE_TYPE_RAW"] : []),
  ]
}
