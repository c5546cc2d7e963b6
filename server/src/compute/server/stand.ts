// How a server stands that an operator wants on another host: what its rows say, and what is to be done next. Pure.
import type { LiveProgress } from "../../agent/protocol.ts"
import type { MigrationStatus, MigrationType } from "../migration/migration.ts"
import type { TaskState, VmState } from "./server.ts"

/**
 * live: its guest works on. cold: it is off. stops: its guest is stopped for the move, as it did not go otherwise.
 * anew: its host is down.
 */
export type MoveWay = "live" | "cold" | "stops" | "anew"

export interface MoveFacts {
  id: string
  name: string
  host: string | null
  vmState: VmState
  taskState: TaskState | null
  /** Its last one, or the one that was asked for. */
  migration: {
    number: number
    type: MigrationType
    status: MigrationStatus
    /** An operator's command began it, so it also ends it. */
    isOurs: boolean
    sourceHost: string
    destHost: string | null
  } | null
}

export type MoveStand =
  /** `orStops`: when that comes to nothing, it may be stopped. */
  | { is: "may_go"; way: Exclude<MoveWay, "stops">; orStops: boolean }
  | { is: "on_way"; way: MoveWay; migration: number }
  | { is: "to_confirm"; migration: number }
  | { is: "stays"; why: string }

const openStatuses: ReadonlySet<MigrationStatus> = new Set<MigrationStatus>([
  ...(["queued", "preparing", "running", "migrating"] as const),
  ...(["accepted", "pre-migrating"] as const),
])

/** In all other states it may go. */
const staysWords: Partial<Record<VmState, string>> = {
  building: "it is being built",
  suspended: "it is suspended; resume or shelve it first",
  rescued: "it is rescued; unrescue it first",
  resized: "its resize or move waits; confirm or revert it first",
  "soft-delete": "it is deleted, and kept for a while; restore it or delete it for good",
  error: "it is in error",
  shelved: "it is shelved, and not offloaded yet",
  shelved_offloaded: "it is shelved, and on no host",
}

export interface StandHow {
  /** Whether its host is. */
  isUp: boolean
  /** Whether a guest may be stopped that does not get there while it runs. */
  mayStop: boolean
}

export function standOf(facts: MoveFacts, { isUp, mayStop }: StandHow): MoveStand {
  const { vmState, taskState, migration } = facts
  const stays = (why: string): MoveStand => ({ is: "stays", why })
  if (migration?.isOurs) {
    const { number, type, status } = migration
    if (taskState !== null && openStatuses.has(status))
      return { is: "on_way", way: wayOf(type), migration: number }
    if (taskState === null && vmState === "resized" && status === "finished")
      return { is: "to_confirm", migration: number }
  }
  if (taskState !== null) return stays(`it has a task (${taskState}); say it again when that is over`)
  const why = staysWords[vmState]
  if (why !== undefined) return stays(why)
  if (facts.host === null) return stays("it is on no host")
  if (!isUp) return stays(`${facts.host} does not answer; see ./kumoi host evacuate`)
  if (vmState === "stopped") return { is: "may_go", way: "cold", orStops: false }
  return { is: "may_go", way: "live", orStops: mayStop && vmState === "active" }
}

function wayOf(type: MigrationType): MoveWay {
  if (type === "evacuation") return "anew"
  return type === "live-migration" ? "live" : "cold"
}

const evacuable: ReadonlySet<VmState> = new Set<VmState>(["active", "stopped", "error"])

/** Of one whose host is down. */
export function lostStandOf({ vmState, taskState, migration }: MoveFacts): MoveStand {
  const stays = (why: string): MoveStand => ({ is: "stays", why })
  if (
    migration?.isOurs &&
    migration.type === "evacuation" &&
    taskState !== null &&
    openStatuses.has(migration.status)
  )
    return { is: "on_way", way: "anew", migration: migration.number }
  if (taskState !== null)
    return stays(`it has a task (${taskState}); say it again when that is over, or reset its state`)
  if (evacuable.has(vmState)) return { is: "may_go", way: "anew", orStops: false }
  const why = staysWords[vmState]?.replace(/;.*/, "") ?? `it is ${vmState}`
  return stays(
    `${why}; only what is active, off or in error is evacuated: it waits for its host, or is deleted`,
  )
}

export type MoveProgress =
  /** Percent null: nobody says. */
  | { is: "on_way"; to: string | null; percent: number | null }
  | { is: "to_confirm"; to: string }
  | { is: "moved"; to: string }
  | { is: "deleted" }
  | { is: "failed"; why: string }

/** Of the migration in the facts; undefined: the server is gone. */
export function progressOf(facts: MoveFacts | undefined): MoveProgress {
  if (facts === undefined) return { is: "deleted" }
  const failed = (why: string): MoveProgress => ({ is: "failed", why })
  const { migration, vmState, taskState } = facts
  if (!migration) return failed("nothing is known of its move")
  const { status, destHost } = migration
  if (openStatuses.has(status))
    return taskState === null
      ? failed("its state was reset on the way")
      : { is: "on_way", to: destHost, percent: null }
  switch (status) {
    case "finished":
      return vmState === "resized" && taskState === null
        ? { is: "to_confirm", to: destHost ?? "" }
        : failed(`it is ${vmState} now, and waits to be confirmed no more`)
    case "completed":
    case "confirmed":
    case "done":
      return { is: "moved", to: destHost ?? "" }
    case "cancelled":
      return failed("its move was aborted")
    case "reverting":
    case "reverted":
      return failed("its move was reverted")
    default:
      return failed("its move failed")
  }
}

/** Of what is left, and not of what was sent: a guest changes what it has. */
export function percentOf({ memory, disk }: LiveProgress): number | null {
  const total = memory.totalBytes + disk.totalBytes
  const left = memory.remainingBytes + disk.remainingBytes
  return total === 0 ? null : Math.max(0, Math.floor((100 * (total - left)) / total))
}
