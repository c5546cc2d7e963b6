// SQL of group snapshots, and the ends of their tasks.
import { sql } from "kysely"
import type { SagaFailure } from "../../engine/saga/saga.ts"
import type { Platform } from "../../platform/context/context.ts"
import type { DbOrTx, Tx } from "../../platform/db/database.ts"
import { findThing } from "../../platform/noun/list.ts"
import { fieldsOf } from "../../platform/noun/noun.ts"
import { groupSnapshotInvalid, groupSnapshotNotFound, groupSnapshotSuperseded } from "../group/faults.ts"
import type { GroupStatus } from "../group/group.ts"
import { noteMessage } from "../message/note.ts"
import { everything } from "../viewer.ts"
import type { Actor } from "../volume/notification.ts"
import { messageFor } from "../volume/task.ts"
import { type GroupSnapshot, groupSnapshotNoun } from "./group-snapshot.ts"
import { notifyGroupSnapshot } from "./notification.ts"

const groupSnapshotFields = fieldsOf(groupSnapshotNoun, everything)

/** Parameters of its sagas, with its part of each snapshot. */
export interface GroupSnapshotTask extends Actor {
  groupSnapshotId: string
  generation: number
  snapshots: readonly { snapshotId: string; generation: number }[]
}

type Held = Pick<GroupSnapshotTask, "groupSnapshotId" | "generation">

export async function selectGroupSnapshot(db: DbOrTx, id: string): Promise<GroupSnapshot | undefined> {
  return await findThing(db, groupSnapshotNoun, everything, id)
}

/** The row as long as this task holds it. */
export async function heldGroupSnapshot({ db }: { db: DbOrTx }, task: Held): Promise<GroupSnapshot> {
  const found = await selectGroupSnapshot(db, task.groupSnapshotId)
  if (found?.generation !== task.generation) throw groupSnapshotSuperseded(task.groupSnapshotId)
  return found
}

/** Takes it for a task: only from these statuses, with a new generation. */
export async function claimGroupSnapshot(
  tx: Tx,
  id: string,
  from: readonly GroupStatus[],
  status: GroupStatus,
): Promise<GroupSnapshot> {
  const claimed = await tx
    .updateTable("block_storage.group_snapshot")
    .set({ status, generation: sql<number>`generation + 1`, updated_at: sql<Date>`now()` })
    .where("id", "=", id)
    .where("status", "in", from)
    .returning(groupSnapshotFields)
    .$castTo<GroupSnapshot>()
    .executeTakeFirst()
  if (claimed) return claimed
  const now = await selectGroupSnapshot(tx, id)
  if (!now) throw groupSnapshotNotFound(id)
  throw groupSnapshotInvalid(
    `GroupSnapshot status must be ${from.join(" or ")}, but current status is: ${now.status}.`,
  )
}

async function changeGroupSnapshot(
  tx: Tx,
  { groupSnapshotId, generation }: Held,
  changes: { status: GroupStatus; problem: string | null },
): Promise<GroupSnapshot | undefined> {
  return await tx
    .updateTable("block_storage.group_snapshot")
    .set({ ...changes, updated_at: sql<Date>`now()` })
    .where("id", "=", groupSnapshotId)
    .where("generation", "=", generation)
    .returning(groupSnapshotFields)
    .$castTo<GroupSnapshot>()
    .executeTakeFirst()
}

export async function finishGroupSnapshot(
  platform: Platform,
  tx: Tx,
  task: GroupSnapshotTask,
): Promise<void> {
  const done = await changeGroupSnapshot(tx, task, { status: "available", problem: null })
  if (!done) throw groupSnapshotSuperseded(task.groupSnapshotId)
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
  const found = await changeGroupSnapshot(tx, task, { status, problem: text })
  if (!found) return
  await notifyGroupSnapshot(platform, tx, found, `${event}.error`, task)
  const { id: resourceId, projectId } = found
  const about = { resourceType: "GROUP_SNAPSHOT", resourceId, projectId, requestId: task.requestId } as const
  await noteMessage(platform, tx, { ...about, action: event, failure, text })
}

/** Throws when another task has it now. */
export async function removeGroupSnapshot(tx: Tx, { groupSnapshotId, generation }: Held): Promise<void> {
  const { numDeletedRows } = await tx
    .deleteFrom("block_storage.group_snapshot")
    .where("id", "=", groupSnapshotId)
    .where("generation", "=", generation)
    .executeTakeFirstOrThrow()
  if (numDeletedRows === 0n) throw groupSnapshotSuperseded(groupSnapshotId)
}
