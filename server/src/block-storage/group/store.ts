// SQL of groups. Every change of status is one compare-and-set. Whoever needs a group and its volumes takes the group
// first, then the volumes in the order of their ids.
import type { SagaFailure } from "../../engine/saga/saga.ts"
import type { Platform } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"
import { noteMessage } from "../message/note.ts"
import type { Place } from "../pool/place.ts"
import { taskRows } from "../task-row.ts"
import type { Actor } from "../volume/notification.ts"
import { volumeFields } from "../volume/store.ts"
import { messageFor } from "../volume/task.ts"
import type { Volume } from "../volume/volume.ts"
import { groupInvalid, groupNotFound, groupSuperseded } from "./faults.ts"
import { type Group, type GroupStatus, groupNoun } from "./group.ts"
import { notifyGroup } from "./notification.ts"

/** Parameters of every saga of a group. */
export interface GroupTask extends Actor {
  groupId: string
  generation: number
}

export interface GroupChanges {
  status?: GroupStatus
  place?: Place | null
  problem?: string | null
}

const rows = taskRows({
  noun: groupNoun,
  idOf: ({ groupId }: Pick<GroupTask, "groupId" | "generation">) => groupId,
  columns: ({ place, ...changes }: GroupChanges) => ({
    ...changes,
    ...(place !== undefined && { host: place?.host ?? null, backend: place?.backend ?? null }),
  }),
  superseded: groupSuperseded,
})

export const { select: selectGroup, held: heldGroup, change: changeGroup, remove: removeGroup } = rows

/** The row, held until the transaction ends. */
export async function lockGroup(tx: Tx, id: string): Promise<Group> {
  const group = await rows.lock(tx, id)
  if (!group) throw groupNotFound(id)
  return group
}

/** Its volumes, held until the transaction ends. */
export async function lockVolumesOf(tx: Tx, groupId: string): Promise<Volume[]> {
  return await tx
    .selectFrom("block_storage.volume")
    .select(volumeFields)
    .where("group_id", "=", groupId)
    .orderBy("id")
    .forUpdate()
    .$castTo<Volume>()
    .execute()
}

export async function claimGroup(
  tx: Tx,
  id: string,
  from: readonly GroupStatus[],
  status: GroupStatus,
): Promise<Group> {
  const claimed = await rows.take(tx, id, from, status)
  if (claimed) return claimed
  const now = await selectGroup(tx, id)
  if (!now) throw groupNotFound(id)
  throw groupInvalid(`Group status must be ${from.join(" or ")}, but current status is: ${now.status}.`)
}

/** The end of a task that went well. */
export async function finishGroup(
  platform: Platform,
  tx: Tx,
  task: GroupTask,
  event: string,
  changes: GroupChanges,
): Promise<void> {
  const group = await rows.advance(tx, task, { problem: null, ...changes })
  await notifyGroup(platform, tx, group, `${event}.end`, task)
}

/** After a failure and its undoing: the task is over, and the user finds out why. */
export async function abandonGroup(
  platform: Platform,
  tx: Tx,
  task: GroupTask,
  event: "create" | "delete",
  { status, failure }: { status: GroupStatus; failure: SagaFailure },
): Promise<void> {
  const text = messageFor(failure)
  const group = await changeGroup(tx, task, { problem: text, status })
  if (!group) return
  await notifyGroup(platform, tx, group, `${event}.error`, task)
  const { id: resourceId, projectId } = group
  const about = { resourceType: "GROUP", resourceId, projectId, requestId: task.requestId } as const
  await noteMessage(platform, tx, { ...about, action: event, failure, text })
}
