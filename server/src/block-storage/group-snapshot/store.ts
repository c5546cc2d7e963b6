// SQL of group snapshots, and the ends of their tasks.
import type { SagaFailure } from "../../engine/saga/saga.ts"
import type { Platform } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"
import { groupSnapshotInvalid, groupSnapshotNotFound, groupSnapshotSuperseded } from "../group/faults.ts"
import type { GroupStatus } from "../group/group.ts"
import { noteMessage } from "../message/note.ts"
import { taskRows } from "../task-row.ts"
import type { Actor } from "../volume/notification.ts"
import { messageFor } from "../volume/task.ts"
import { type GroupSnapshot, groupSnapshotNoun } from "./group-snapshot.ts"
import { notifyGroupSnapshot } from "./notification.ts"

/** Parameters of its sagas, with its part of each snapshot. */
export interface GroupSnapshotTask extends Actor {
  groupSnapshotId: string
  generation: number
  snapshots: readonly { snapshotId: string; generation: number }[]
}

type Held = Pick<GroupSnapshotTask, "groupSnapshotId" | "generation">

const rows = taskRows({
  noun: groupSnapshotNoun,
  idOf: ({ groupSnapshotId }: Held) => groupSnapshotId,
  columns: (changes: { status: GroupStatus; problem: string | null }) => ({ ...changes }),
  superseded: groupSnapshotSuperseded,
})

export const { select: selectGroupSnapshot, held: heldGroupSnapshot, remove: removeGroupSnapshot } = rows

export async function claimGroupSnapshot(
  tx: Tx,
  id: string,
  from: readonly GroupStatus[],
  status: GroupStatus,
): Promise<GroupSnapshot> {
  const claimed = await rows.take(tx, id, from, status)
  if (claimed) return claimed
  const now = await selectGroupSnapshot(tx, id)
  if (!now) throw groupSnapshotNotFound(id)
  throw groupSnapshotInvalid(
    `GroupSnapshot status must be ${from.join(" or ")}, but current status is: ${now.status}.`,
  )
}

export async function finishGroupSnapshot(
  platform: Platform,
  tx: Tx,
  task: GroupSnapshotTask,
): Promise<void> {
  const done = await rows.advance(tx, task, { status: "available", problem: null })
  await notifyGroupSnapshot(platform, tx, done, "create.end", task)
}

/** After a failure and its undoing: the task is over, and the user finds out why. */
export async function abandonGroupSnapshot(
  platform: Platform,
  tx: Tx,
  task: GroupSnapshotTask,
  event: "create" | "delete",
  failure: SagaFailure,
): Promise<void> {
  const text = messageFor(failure)
  const status = event === "create" ? "error" : "error_deleting"
  const found = await rows.change(tx, task, { status, problem: text })
  if (!found) return
  await notifyGroupSnapshot(platform, tx, found, `${event}.error`, task)
  const { id: resourceId, projectId } = found
  const about = { resourceType: "GROUP_SNAPSHOT", resourceId, projectId, requestId: task.requestId } as const
  await noteMessage(platform, tx, { ...about, action: event, failure, text })
}
