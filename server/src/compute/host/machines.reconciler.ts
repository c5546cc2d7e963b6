// Machines follow rows: a machine that no server wants is removed, a server whose machine is gone says so, and
// power states are compared. One pass asks each live host once.
import type { VmState as MachineState } from "../../agent/protocol.ts"
import type { Reconciler } from "../../engine/reconcile/reconciler.ts"
import type { Platform } from "../../platform/context/context.ts"
import { describeError } from "../../platform/fault/fault.ts"
import { callAgent } from "../agent-call.ts"
import { applyPower } from "../server/power-sync.ts"
import type { Server } from "../server/server.ts"
import { selectServersForSync } from "../server/store.ts"
import { isHostUp } from "./host.ts"
import { selectHosts } from "./store.ts"

export type MachineAction =
  | { kind: "destroy"; serverId: string; generation: number }
  | { kind: "power"; server: Server; power: MachineState["power"] }

/** A machine without any row: above whatever a lost saga may still send. */
const aboveAll = Number.MAX_SAFE_INTEGER

/**
 * What to do on one host. A machine of a server that has a task is the task's affair; so is one whose server is on
 * its way to this host or away from it.
 */
export function planMachines(
  host: string,
  machines: readonly { serverId: string; state: MachineState }[],
  servers: ReadonlyMap<string, Server>,
): MachineAction[] {
  const actions: MachineAction[] = []
  const seen = new Set<string>()
  for (const { serverId, state } of machines) {
    seen.add(serverId)
    const server = servers.get(serverId)
    if (!server) actions.push({ kind: "destroy", serverId, generation: aboveAll })
    else if (server.deletedAt)
      // Above the delete itself, which may have been begun here; a deleted row never changes again.
      actions.push({ kind: "destroy", serverId, generation: server.generation + 1 })
    else if (server.taskState === null && server.host !== host && server.oldHost !== host)
      actions.push({ kind: "destroy", serverId, generation: server.generation })
    else if (server.taskState === null && server.host === host)
      actions.push({ kind: "power", server, power: state.power })
  }
  for (const server of servers.values()) {
    if (seen.has(server.id) || server.host !== host || server.deletedAt || server.taskState !== null) continue
    actions.push({ kind: "power", server, power: "absent" })
  }
  return actions
}

export const machinesReconciler: Reconciler = {
  name: "compute.machines",
  intervalMs: 30_000,
  timeoutMs: 60_000,
  run: reconcileMachines,
}

export async function reconcileMachines(platform: Platform, signal: AbortSignal) {
  const status = { hosts: 0, unreachable: 0, destroyed: 0, synced: 0 }
  const now = platform.clock.now()
  for (const host of await selectHosts(platform.db)) {
    if (signal.aborted) break
    if (!isHostUp(host, now, platform.config.compute.serviceDownAfterMs)) continue
    status.hosts++
    try {
      await reconcileHost(platform, host.name, signal, status)
    } catch (error) {
      status.unreachable++
      platform.log.warn(
        { host: host.name, err: describeError(error) },
        "machines of a host were not compared",
      )
    }
  }
  return status
}

async function reconcileHost(
  platform: Platform,
  host: string,
  signal: AbortSignal,
  status: { destroyed: number; synced: number },
): Promise<void> {
  // Machines first: one that is made after this is in no list, and its row is read with its task.
  const machines = await callAgent(platform, host, "vm.list", {}, { signal })
  const servers = await selectServersForSync(
    platform.db,
    host,
    machines.map((machine) => machine.serverId),
  )
  for (const action of planMachines(host, machines, servers)) {
    if (signal.aborted) return
    if (action.kind === "power") {
      if (await applyPower(platform, action.server, action.power)) status.synced++
      continue
    }
    const fence = { generation: action.generation, fence: 0 }
    await callAgent(platform, host, "vm.destroy", { serverId: action.serverId, fence }, { signal })
    status.destroyed++
    platform.log.info({ host, serverId: action.serverId }, "a machine without a server was removed")
  }
}
