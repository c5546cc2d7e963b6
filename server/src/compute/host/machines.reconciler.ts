// Machines follow rows: a machine of a deleted server is removed, a server whose machine is gone says so, and power
// states are compared. One pass asks each live host once; no host waits for another.
import type { Reconciler } from "../../engine/reconcile/reconciler.ts"
import type { Platform } from "../../platform/context/context.ts"
import { describeError } from "../../platform/fault/fault.ts"
import { callAgent } from "../agent-call.ts"
import { applyPower } from "../server/power-sync.ts"
import { selectServersForSync } from "../server/store.ts"
import { isHostUp } from "./host.ts"
import { type MachineAction, planMachines, removalsMost } from "./machines.plan.ts"
import { selectHosts } from "./store.ts"

export const machinesReconciler: Reconciler = {
  name: "compute.machines",
  intervalMs: 30_000,
  timeoutMs: 60_000,
  run: reconcileMachines,
}

/** Hosts that are asked at a time. */
const hostsAtOnce = 16
/** A host that takes longer to list its machines, or to remove one, is looked at again in the next pass. */
const callTimeoutMs = 20_000

export interface MachinesStatus extends Record<string, unknown> {
  hosts: number
  unreachable: number
  destroyed: number
  synced: number
  failed: number
  /** Machines that no row knows, left for an operator. */
  unknown: number
  /** Machines that were to be removed and were not, as they are too many at once. */
  held: number
}

export async function reconcileMachines(platform: Platform, signal: AbortSignal): Promise<MachinesStatus> {
  const status = { hosts: 0, unreachable: 0, destroyed: 0, synced: 0, failed: 0, unknown: 0, held: 0 }
  const { serviceDownAfterMs } = platform.config.compute
  const hosts = (await selectHosts(platform.db)).filter((host) => isHostUp(host, serviceDownAfterMs))
  status.hosts = hosts.length
  const iterator = hosts.values()
  const lane = async () => {
    for (const { name } of iterator) {
      if (signal.aborted) return
      await reconcileHost(platform, name, signal, status).catch((error: unknown) => {
        status.unreachable++
        const facts = { host: name, err: describeError(error) }
        platform.log.warn(facts, "machines of a host were not compared")
      })
    }
  }
  await Promise.all(Array.from({ length: hostsAtOnce }, lane))
  return status
}

async function reconcileHost(
  platform: Platform,
  host: string,
  signal: AbortSignal,
  status: MachinesStatus,
): Promise<void> {
  // Machines first: one that is made after this is in no list, and its row is read with its task.
  const machines = await callAgent(platform, host, "vm.list", {}, { signal, timeoutMs: callTimeoutMs })
  const ids = machines.map((machine) => machine.serverId)
  const servers = await selectServersForSync(platform.db, host, ids)
  const actions = holdRemovals(platform, host, machines.length, planMachines(host, machines, servers), status)
  for (const action of actions) {
    if (signal.aborted) return
    try {
      await act(platform, host, action, signal, status)
    } catch (error) {
      // One machine that cannot be put right must not keep the others from it.
      status.failed++
      const serverId = action.kind === "power" ? action.server.id : action.serverId
      const facts = { host, serverId, err: describeError(error) }
      platform.log.warn(facts, "a machine could not be put right")
    }
  }
}

/** The actions without removals, when these are more than a host loses in the ordinary course of things. */
function holdRemovals(
  platform: Platform,
  host: string,
  machines: number,
  actions: MachineAction[],
  status: MachinesStatus,
): MachineAction[] {
  const removals = actions.filter((action) => action.kind === "destroy").length
  const most = removalsMost(machines, platform.config.compute.machineRemovalShare)
  if (removals <= most) return actions
  status.held += removals
  platform.log.error(
    { host, machines, removals, most },
    "too many machines to remove at once: none is removed",
  )
  return actions.filter((action) => action.kind !== "destroy")
}

async function act(
  platform: Platform,
  host: string,
  action: MachineAction,
  signal: AbortSignal,
  status: MachinesStatus,
): Promise<void> {
  switch (action.kind) {
    case "power":
      if (await applyPower(platform, action.server, action.power)) status.synced++
      return
    case "unknown":
      status.unknown++
      return
    case "destroy": {
      const { serverId, generation, why } = action
      const command = { serverId, fence: { generation, fence: 0 } }
      await callAgent(platform, host, "vm.destroy", command, { signal, timeoutMs: callTimeoutMs })
      status.destroyed++
      platform.log.info({ host, serverId, why }, "a machine without a server was removed")
    }
  }
}
