// What a host's machines and the rows of its servers have to do with each other. Pure.
//
// What is unknown is not deleted: a machine without a row is never destroyed here, as the row may be what is
// missing (a database that was restored, or another one). It is kept for an operator.
import type { VmState as MachineState } from "../../agent/protocol.ts"
import type { Evacuation } from "../migration/store.ts"
import type { Server } from "../server/server.ts"

export type Machine = { serverId: string; state: MachineState }

export type MachineAction =
  /** The row says that it must not be there: its server is deleted, or at rest on another host or on none. */
  | { kind: "destroy"; serverId: string; generation: number; why: "deleted" | "left" | "evacuated" }
  /** Its server is being made anew on another host; it may still come back, so it only ends. */
  | { kind: "stop"; serverId: string; generation: number }
  | { kind: "unknown"; serverId: string; power: MachineState["power"] }
  /** Its server should be here and has no machine. */
  | { kind: "missing"; server: Server }
  | { kind: "power"; server: Server; state: MachineState }

/**
 * What to do on one host. A machine of a server that has a task is the task's affair; so is one whose server is on
 * its way to this host or away from it. `evacuations`: from this host while it was down, by server.
 */
export function planMachines(
  host: string,
  machines: readonly Machine[],
  servers: ReadonlyMap<string, Server>,
  evacuations: ReadonlyMap<string, Pick<Evacuation, "status">> = new Map(),
): MachineAction[] {
  const actions: MachineAction[] = []
  const seen = new Set<string>()
  for (const { serverId, state } of machines) {
    seen.add(serverId)
    const server = servers.get(serverId)
    const evacuation = evacuations.get(serverId)
    if (!server) actions.push({ kind: "unknown", serverId, power: state.power })
    else if (evacuation && hasGoneFrom(host, server)) actions.push(...leavingOf(server, evacuation, state))
    else if (server.deletedAt) actions.push({ ...destroyOf(server), why: "deleted" })
    else if (server.taskState !== null) continue
    else if (server.host === host) actions.push(agreementOf(server, state))
    else if (server.oldHost !== host) actions.push({ ...destroyOf(server), why: "left" })
  }
  for (const server of servers.values()) {
    if (seen.has(server.id) || server.host !== host || server.deletedAt || server.taskState !== null) continue
    actions.push({ kind: "missing", server })
  }
  return actions
}

/** By what the rows say since: it may have come back, or be on its way. */
function hasGoneFrom(host: string, { host: now, oldHost }: Server): boolean {
  return now !== host && oldHost !== host
}

function leavingOf(
  server: Server,
  { status }: Pick<Evacuation, "status">,
  { power }: MachineState,
): MachineAction[] {
  if (server.deletedAt || server.taskState === null) return [{ ...destroyOf(server), why: "evacuated" }]
  const { id: serverId, generation } = server
  const isMoving = status === "pre-migrating" && server.taskState === "rebuilding"
  return isMoving && (power === "running" || power === "paused")
    ? [{ kind: "stop", serverId, generation }]
    : []
}

function agreementOf(server: Server, state: MachineState): MachineAction {
  return state.power === "absent" ? { kind: "missing", server } : { kind: "power", server, state }
}

/** What takes a machine away from its host. */
export function isRemoval(action: MachineAction): action is MachineAction & { serverId: string } {
  return action.kind === "destroy" || action.kind === "unknown"
}

/** Of those, what somebody has decided for this very host: however many there are, they are no error of the rows. */
export function isDecided(action: MachineAction): boolean {
  return action.kind === "destroy" && action.why === "evacuated"
}

/**
 * Above whatever the server's last task sent, and below the next one's: a task takes the server by raising its
 * generation by two.
 */
function destroyOf(server: Server) {
  return { kind: "destroy", serverId: server.id, generation: server.generation + 1 } as const
}

/** Machines of a host that one pass may take away; more than that looks like an error of the rows. */
export function removalsMost(machines: number, share: number): number {
  return Math.max(1, Math.floor(machines * share))
}
