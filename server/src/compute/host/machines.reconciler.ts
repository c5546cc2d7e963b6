// Machines follow rows: a machine of a deleted server is removed, one that no row knows is set aside, a server whose
// machine is gone says so, and power states are compared. One pass asks each live host; no host waits for another.
//
// After a backup was restored the rows are older than the machines. A host notices by the epoch: then nothing is taken
// away until no machine differs from the rows any more, by what an operator adopts and discards (`kumoi host`).
import type { Reconciler } from "../../engine/reconcile/reconciler.ts"
import type { Platform } from "../../platform/context/context.ts"
import { describeError, Fault } from "../../platform/fault/fault.ts"
import { callAgent } from "../agent-call.ts"
import { isEvacuating } from "../migration/migration.ts"
import { completeEvacuations, selectEvacuations } from "../migration/store.ts"
import { applyMissing, applyPower } from "../server/power-sync.ts"
import type { Server } from "../server/server.ts"
import { selectServersForSync } from "../server/store.ts"
import { isHostUp } from "./host.ts"
import { isDecided, isRemoval, type MachineAction, planMachines, removalsMost } from "./machines.plan.ts"
import { selectHosts } from "./store.ts"

const passTimeoutMs = 60_000

export const machinesReconciler: Reconciler = {
  name: "compute.machines",
  intervalMs: 30_000,
  timeoutMs: passTimeoutMs,
  run: async (platform, signal) => {
    const { alarms, ...status } = await reconcileMachines(platform, signal)
    // The error of a pass is what `kumoi status` shows.
    if (alarms.length > 0) throw new Fault("precondition", "compute.host.differs", alarms.join(" "))
    return status
  },
}

/** Hosts that are asked at a time. */
const hostsAtOnce = 16
/** A host that takes longer to list its machines, or to remove one, is looked at again in the next pass. */
const callTimeoutMs = 20_000

export interface MachinesStatus {
  hosts: number
  unreachable: number
  destroyed: number
  synced: number
  failed: number
  /** Machines that no row knows, kept for an operator. */
  setAside: number
  /** Machines that were to be taken away and were not. */
  held: number
  /** What an operator must look at, a sentence each. */
  alarms: string[]
}

/** One pass over one host. */
interface Pass {
  platform: Platform
  host: string
  signal: AbortSignal
  status: MachinesStatus
}

const noStatus = (): MachinesStatus => ({
  ...{ hosts: 0, unreachable: 0, destroyed: 0, synced: 0, failed: 0, setAside: 0, held: 0 },
  alarms: [],
})

/** The same of one host, when something of it should not wait. */
export async function reconcileOneHost(platform: Platform, host: string): Promise<MachinesStatus> {
  const status = noStatus()
  await reconcileHost({ platform, host, signal: AbortSignal.timeout(passTimeoutMs), status })
  return status
}

export async function reconcileMachines(platform: Platform, signal: AbortSignal): Promise<MachinesStatus> {
  const status = noStatus()
  const { serviceDownAfterMs } = platform.config.compute
  const hosts = (await selectHosts(platform.db)).filter((host) => isHostUp(host, serviceDownAfterMs))
  status.hosts = hosts.length
  const iterator = hosts.values()
  const lane = async () => {
    for (const { name } of iterator) {
      if (signal.aborted) return
      await reconcileHost({ platform, host: name, signal, status }).catch((error: unknown) => {
        status.unreachable++
        const facts = { host: name, err: describeError(error) }
        platform.log.warn(facts, "machines of a host were not compared")
      })
    }
  }
  await Promise.all(Array.from({ length: hostsAtOnce }, lane))
  return status
}

async function reconcileHost(pass: Pass): Promise<void> {
  const { platform, host, signal, status } = pass
  // Machines first: one that is made after this is in no list, and its row is read with its task.
  const machines = await callAgent(platform, host, "vm.list", {}, { signal, timeoutMs: callTimeoutMs })
  const ids = machines.map((machine) => machine.serverId)
  const servers = await selectServersForSync(platform.db, host, ids)
  const evacuations = await selectEvacuations(platform.db, host)
  const evacuated = new Map(evacuations.map((each) => [each.serverId, each]))
  const planned = planMachines(host, machines, servers, evacuated)
  const agrees = await agreesWithCloud(pass, planned)
  const mayRemove = agrees && areFewRemovals(pass, machines.length, planned)
  const left = new Set(ids)
  // First what another host has by now.
  for (const action of planned.toSorted((a, b) => Number(isLeaving(b)) - Number(isLeaving(a)))) {
    if (signal.aborted) return
    if (isRemoval(action) && !(isDecided(action) ? agrees : mayRemove)) continue
    try {
      await act(pass, action)
      if (action.kind === "destroy") left.delete(action.serverId)
    } catch (error) {
      // One machine that cannot be put right must not keep the others from it.
      status.failed++
      const serverId = "server" in action ? action.server.id : action.serverId
      const facts = { host, serverId, err: describeError(error) }
      platform.log.warn(facts, "a machine could not be put right")
    }
  }
  // Nothing is left of it here, or it has come back since.
  const isOver = (serverId: string) => !left.has(serverId) || isAtRestOn(host, servers.get(serverId))
  const over = evacuations.filter(({ serverId, status }) => !isEvacuating(status) && isOver(serverId))
  await completeEvacuations(
    platform.db,
    over.map(({ number }) => number),
  )
}

const isAtRestOn = (host: string, server: Server | undefined) =>
  server !== undefined && server.host === host && server.taskState === null
const isLeaving = (action: MachineAction) => action.kind === "stop" || isDecided(action)

/**
 * Whether the host is in the cloud's epoch. It enters it when no machine differs from the rows: after a restore that
 * is when an operator has said of each what it is.
 */
async function agreesWithCloud(pass: Pass, planned: readonly MachineAction[]): Promise<boolean> {
  const { platform, host, signal } = pass
  const cloud = platform.epoch
  const options = { signal, timeoutMs: callTimeoutMs }
  const { epoch } = await callAgent(platform, host, "host.epoch", { enter: null }, options)
  if (epoch?.id === cloud.id) return true
  const differing = planned.filter(isRemoval).length
  if (epoch !== null && epoch.number >= cloud.number) {
    alarm(
      pass,
      differing,
      `Host ${host} has been in a later epoch (${epoch.number}) than this database (${cloud.number}): it takes no ` +
        "commands. Is this the right database?",
    )
    return false
  }
  // A host that never was in any epoch has nothing to compare with.
  if (differing === 0 || epoch === null) {
    await callAgent(platform, host, "host.epoch", { enter: cloud }, options)
    return true
  }
  alarm(
    pass,
    differing,
    `Host ${host}: ${differing} machines differ from the restored database; nothing is taken away until each is ` +
      "adopted or discarded. See: ./kumoi host unknown",
  )
  return false
}

/** False when there are more machines to take away than a host loses in the ordinary course of things. */
function areFewRemovals(pass: Pass, machines: number, planned: readonly MachineAction[]): boolean {
  const removals = planned.filter((action) => isRemoval(action) && !isDecided(action)).length
  const most = removalsMost(machines, pass.platform.config.compute.machineRemovalShare)
  if (removals <= most) return true
  alarm(
    pass,
    removals,
    `Host ${pass.host}: ${removals} of ${machines} machines have no server; none is taken away, as these are more ` +
      `than ${most}. See: ./kumoi host unknown`,
  )
  return false
}

function alarm({ platform, host, status }: Pass, held: number, text: string): void {
  status.held += held
  status.alarms.push(text)
  platform.log.error({ host, held }, text)
}

async function act({ platform, host, signal, status }: Pass, action: MachineAction): Promise<void> {
  const options = { signal, timeoutMs: callTimeoutMs }
  switch (action.kind) {
    case "power":
      if (await applyPower(platform, action.server, action.state)) status.synced++
      return
    case "missing":
      if (await applyMissing(platform, action.server)) status.synced++
      return
    case "unknown": {
      const { serverId } = action
      await callAgent(platform, host, "vm.set_aside", { serverId, why: unknownReason, fence: null }, options)
      status.setAside++
      platform.log.error({ host, serverId }, "a machine that no row knows is set aside: ./kumoi host unknown")
      return
    }
    case "stop": {
      const { serverId, generation } = action
      // As the task that has the server, whatever its fence is by now.
      const fence = { generation, fence: Number.MAX_SAFE_INTEGER }
      await callAgent(platform, host, "vm.stop", { serverId, graceMs: 0, fence }, options)
      platform.log.info({ host, serverId }, "a machine was ended whose server is made anew on another host")
      return
    }
    case "destroy": {
      const { serverId, generation, why } = action
      await callAgent(platform, host, "vm.destroy", { serverId, fence: { generation, fence: 0 } }, options)
      status.destroyed++
      platform.log.info({ host, serverId, why }, "a machine without a server was removed")
    }
  }
}

const unknownReason = "no server has this id"
