// Rows follow machines: a guest that was switched off from within, killed or paused shows so, as long as no task
// works on its server.
import type { VmState as MachineState, PowerState } from "../../agent/protocol.ts"
import type { Platform } from "../../platform/context/context.ts"
import { transact } from "../../platform/db/database.ts"
import { callAgent } from "../agent-call.ts"
import { notifyServer } from "./notification.ts"
import { powerNumberOf, type Server, type VmState } from "./server.ts"
import { changeServer, type ServerChanges, selectServer } from "./store.ts"

/** What the row must become for a machine in this power; undefined when they agree or a task decides. */
export function syncedState(
  server: Pick<Server, "vmState" | "taskState" | "powerState">,
  power: PowerState,
): { vmState: VmState; powerState: number } | undefined {
  if (server.taskState !== null) return undefined
  const vmState = vmStateFor(server.vmState, power)
  const powerState = powerNumberOf(power)
  return vmState === server.vmState && powerState === server.powerState ? undefined : { vmState, powerState }
}

/** Only these four are the guest's own doing; a resized or rescued server stays what it is. */
function hasOwnPower(now: VmState): boolean {
  return now === "active" || now === "stopped" || now === "paused" || now === "suspended"
}

function vmStateFor(now: VmState, power: PowerState): VmState {
  if (!hasOwnPower(now)) return now
  switch (power) {
    case "running":
      return "active"
    case "paused":
      return "paused"
    case "suspended":
      return "suspended"
    case "shutdown":
    case "crashed":
    case "absent":
      return now === "suspended" ? "suspended" : "stopped"
  }
}

/** A report is old by the time it is read: it only makes us ask, and the row changes if no task came between. */
export async function syncMachine(
  platform: Platform,
  host: string,
  serverId: string,
  reported: Told,
): Promise<boolean> {
  const server = await selectServer(platform.db, serverId)
  if (!server || server.host !== host || !wantedChanges(platform, server, reported)) return false
  const now = await callAgent(platform, host, "vm.inspect", { serverId })
  return await applyPower(platform, server, now)
}

type Told = Pick<MachineState, "power" | "cannotStart">

export async function applyPower(platform: Platform, server: Server, state: Told): Promise<boolean> {
  const wanted = wantedChanges(platform, server, state)
  return wanted ? await applyChanges(platform, server, wanted) : false
}

function wantedChanges(
  platform: Platform,
  server: Server,
  { power, cannotStart }: Told,
): ServerChanges | undefined {
  if (isMachineMissing(server)) return foundAgain(power)
  if (hasNotStarted(server)) return power === "running" || power === "paused" ? foundAgain(power) : undefined
  if (cannotStart === undefined || server.taskState !== null || !hasOwnPower(server.vmState))
    return syncedState(server, power)
  const message = "The machine of this server could not be started again with its host."
  const createdAt = platform.clock.now().toISOString()
  const fault = { code: 500, message, details: `${notStarted}: ${cannotStart}`, createdAt }
  return { vmState: "error", powerState: powerNumberOf(power), fault }
}

/** Whether it is in error for nothing but its machine, which did not start again with its host. */
function hasNotStarted({ vmState, fault }: Server): boolean {
  return vmState === "error" && fault?.details?.startsWith(`${notStarted}:`) === true
}
const notStarted = "machine_not_started"

/** Whether it is in error for nothing but its machine, which was not on its host. */
function isMachineMissing({ vmState, fault }: Server): boolean {
  return vmState === "error" && fault?.details === missing
}
const missing = "machine_missing"

function foundAgain(power: PowerState): ServerChanges {
  return { vmState: vmStateFor("stopped", power), powerState: powerNumberOf(power), fault: null }
}

/**
 * The server's host has no machine of it. It is not made anew: that would be an empty disk where the user expects his
 * data. He may rebuild or delete it; when the machine is found again, all is as before.
 */
export async function applyMissing(platform: Platform, server: Server): Promise<boolean> {
  if (!hasOwnPower(server.vmState)) return false
  const message = "The machine of this server is not on its host."
  const createdAt = platform.clock.now().toISOString()
  return await applyChanges(platform, server, {
    vmState: "error",
    powerState: powerNumberOf("absent"),
    fault: { code: 500, message, details: missing, createdAt },
  })
}

async function applyChanges(platform: Platform, server: Server, changes: ServerChanges): Promise<boolean> {
  return await transact(platform.db, async (tx) => {
    const changed = await changeServer(tx, server.id, server.generation, changes, { onlyIdle: true })
    if (!changed) return false
    if (changed.vmState !== server.vmState) {
      const actor = { requestId: `req-${server.id}`, userId: server.userId, projectId: server.projectId }
      await notifyServer(platform, tx, changed, "power_state.changed", actor, { old_state: server.vmState })
    }
    return true
  })
}
