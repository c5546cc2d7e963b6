// What may be done to a server in which state, as Nova decides it. Pure; the store turns it into one
// compare-and-set, so that of two requests at once exactly one gets the server.
//
//            create            stop               pause
//   building ──────► active ◄──────► stopped   active ◄──► paused        any ──delete──► deleted
//       │ failure      │ ▲ start                active ◄──► suspended
//       ▼              ▼ │                      active ──resize──► resized ──confirm/revert──► active
//     error          rescued                    active ──shelve──► shelved_offloaded ──unshelve──► active
import { type TaskState, taskStates, type VmState, vmStates } from "./server.ts"

export interface ActionRule {
  /** Nova's word in refusals and in os-instance-actions. */
  action: string
  /** In the latter, where that is another one. */
  recorded?: string
  /** null: any. */
  vmStates: readonly VmState[] | null
  /** Task states in which it may start: null is "no task"; absent means any. */
  taskStates?: readonly (TaskState | null)[]
  /** Task state while it runs; null for those that take no time. */
  taskState: TaskState | null
  /** A server that never ran has nothing to act on. */
  mustHaveLaunched: boolean
  /** Whether a lock keeps users out. */
  honoursLock: boolean
}

const idle = [null] as const
const mayHardReboot = [
  null,
  "rebooting",
  "rebooting_hard",
  "resuming",
  "pausing",
  "unpausing",
  "suspending",
] as const

const common = { taskStates: idle, mustHaveLaunched: true, honoursLock: true } as const

export const actionRules = {
  delete: {
    action: "delete",
    vmStates: null,
    taskState: "deleting",
    mustHaveLaunched: false,
    honoursLock: true,
  },
  // Not in the middle of a task, of which half would be kept.
  softDelete: {
    ...common,
    action: "delete",
    vmStates: ["active", "stopped", "paused", "suspended", "rescued", "resized", "error"],
    taskState: "soft-deleting",
  },
  restore: { ...common, action: "restore", vmStates: ["soft-delete"], taskState: "restoring" },
  start: { ...common, action: "start", vmStates: ["stopped"], taskState: "powering-on" },
  stop: { ...common, action: "stop", vmStates: ["active", "error"], taskState: "powering-off" },
  rebootSoft: { ...common, action: "reboot", vmStates: ["active"], taskState: "rebooting" },
  rebootHard: {
    ...common,
    action: "reboot",
    vmStates: ["active", "stopped", "paused", "suspended", "error"],
    taskStates: mayHardReboot,
    taskState: "rebooting_hard",
  },
  pause: { ...common, action: "pause", vmStates: ["active"], taskState: "pausing" },
  unpause: { ...common, action: "unpause", vmStates: ["paused"], taskState: "unpausing" },
  suspend: { ...common, action: "suspend", vmStates: ["active"], taskState: "suspending" },
  resume: { ...common, action: "resume", vmStates: ["suspended"], taskState: "resuming" },
  rebuild: {
    ...common,
    action: "rebuild",
    vmStates: ["active", "stopped", "error"],
    taskState: "rebuilding",
  },
  resize: { ...common, action: "resize", vmStates: ["active", "stopped"], taskState: "resize_prep" },
  migrate: { ...common, action: "migrate", vmStates: ["active", "stopped"], taskState: "resize_prep" },
  confirmResize: { ...common, action: "confirmResize", vmStates: ["resized"], taskState: "resize_finish" },
  revertResize: { ...common, action: "revertResize", vmStates: ["resized"], taskState: "resize_reverting" },
  createImage: {
    ...common,
    honoursLock: false,
    action: "createImage",
    vmStates: ["active", "stopped", "paused", "suspended"],
    taskState: "image_snapshot_pending",
  },
  createBackup: {
    ...common,
    action: "createBackup",
    vmStates: ["active", "stopped", "paused", "suspended"],
    taskState: "image_backup",
  },
  shelve: {
    ...common,
    action: "shelve",
    vmStates: ["active", "stopped", "paused", "suspended"],
    taskState: "shelving",
  },
  shelveOffload: {
    ...common,
    action: "shelveOffload",
    vmStates: ["shelved"],
    taskState: "shelving_offloading",
  },
  unshelve: {
    ...common,
    action: "unshelve",
    vmStates: ["shelved", "shelved_offloaded"],
    taskState: "unshelving",
  },
  rescue: { ...common, action: "rescue", vmStates: ["active", "stopped", "error"], taskState: "rescuing" },
  triggerCrashDump: {
    ...common,
    action: "trigger_crash_dump",
    vmStates: ["active", "paused", "rescued", "resized", "error"],
    taskState: null,
  },
  changePassword: { ...common, action: "changePassword", vmStates: ["active"], taskState: null },
  migrateLive: {
    ...common,
    action: "os-migrateLive",
    recorded: "live-migration",
    vmStates: ["active", "paused"],
    taskState: "migrating",
  },
  evacuate: {
    ...common,
    honoursLock: false,
    action: "evacuate",
    vmStates: ["active", "stopped", "error"],
    taskState: "rebuilding",
  },
  unrescue: { ...common, action: "unrescue", vmStates: ["rescued"], taskState: "unrescuing" },
  attachInterface: {
    ...common,
    action: "attach_interface",
    vmStates: ["active", "paused", "stopped"],
    taskState: null,
  },
  // To a machine that is there; one that is suspended takes nothing and gives nothing.
  attachVolume: {
    ...common,
    action: "attach_volume",
    vmStates: ["active", "paused", "stopped", "resized", "shelved_offloaded"],
    taskState: null,
  },
  detachVolume: {
    ...common,
    action: "detach_volume",
    vmStates: ["active", "paused", "stopped", "resized", "shelved_offloaded"],
    taskState: null,
  },
  detachInterface: {
    ...common,
    action: "detach_interface",
    vmStates: ["active", "paused", "stopped"],
    taskState: null,
  },
} as const satisfies Record<string, ActionRule>

export type ActionName = keyof typeof actionRules

export interface StateFacts {
  vmState: VmState
  taskState: TaskState | null
  launchedAt: Date | null
  lockedBy: "owner" | "admin" | null
}

export type Refusal =
  | { why: "locked" }
  | { why: "not_launched" }
  | { why: "state"; attribute: "vm_state" | "task_state"; state: string }

/** Why the action may not start now; undefined when it may. */
export function refusalOf(rule: ActionRule, facts: StateFacts, isAdmin: boolean): Refusal | undefined {
  if (rule.honoursLock && facts.lockedBy !== null && !isAdmin) return { why: "locked" }
  if (rule.vmStates && !rule.vmStates.includes(facts.vmState))
    return { why: "state", attribute: "vm_state", state: facts.vmState }
  if (rule.taskStates && !rule.taskStates.includes(facts.taskState))
    return { why: "state", attribute: "task_state", state: facts.taskState ?? "None" }
  if (rule.mustHaveLaunched && facts.launchedAt === null) return { why: "not_launched" }
  return undefined
}

type StatusByTask = { default: string } & { [T in TaskState]?: string }

const resizeTasks = { resize_prep: "RESIZE", resize_migrating: "RESIZE", resize_finish: "RESIZE" } as const
const rebuildTasks = { rebuilding: "REBUILD", rebuild_spawning: "REBUILD" } as const

const statuses: Readonly<Record<VmState, StatusByTask>> = {
  active: {
    default: "ACTIVE",
    migrating: "MIGRATING",
    rebooting: "REBOOT",
    rebooting_hard: "HARD_REBOOT",
    ...rebuildTasks,
    ...resizeTasks,
  },
  building: { default: "BUILD" },
  stopped: { default: "SHUTOFF", ...resizeTasks, ...rebuildTasks },
  resized: { default: "VERIFY_RESIZE", resize_reverting: "REVERT_RESIZE" },
  paused: { default: "PAUSED", migrating: "MIGRATING" },
  suspended: { default: "SUSPENDED" },
  rescued: { default: "RESCUE" },
  error: { default: "ERROR", ...rebuildTasks },
  deleted: { default: "DELETED" },
  "soft-delete": { default: "SOFT_DELETED" },
  shelved: { default: "SHELVED" },
  shelved_offloaded: { default: "SHELVED_OFFLOADED" },
}

/** The word that users see. */
export function statusOf(vmState: VmState, taskState: TaskState | null): string {
  const row = statuses[vmState]
  return (taskState && row[taskState]) || row.default
}

/** The states that show as one of these statuses; `taskStates` null when any will do. Null for an unknown status. */
export function statesOf(
  words: readonly string[],
): { vmStates: VmState[]; taskStates: TaskState[] | null } | null {
  const wanted = new Set(words.map((word) => word.toLowerCase()))
  const found = { vmStates: new Set<VmState>(), taskStates: new Set<TaskState>() }
  let isResting = false
  const has = (status: string | undefined) => status !== undefined && wanted.has(status.toLowerCase())
  for (const vmState of vmStates) {
    const row = statuses[vmState]
    const tasks = taskStates.filter((taskState) => has(row[taskState]))
    if (has(row.default)) isResting = true
    else if (tasks.length === 0) continue
    found.vmStates.add(vmState)
    for (const taskState of tasks) found.taskStates.add(taskState)
  }
  if (found.vmStates.size === 0) return null
  // Nova's rule: with a resting status among them, only the machine's state counts.
  return { vmStates: [...found.vmStates], taskStates: isResting ? null : [...found.taskStates] }
}
