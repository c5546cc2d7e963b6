// SQL of groups. Every change of status is one compare-and-set. Whoever needs a group and its volumes takes the group
// first, then the volumes in the order of their ids.
import { sql } from "kysely"
import type { SagaFailure } from "../../engine/saga/saga.ts"
import type { Platform } from "../../platform/context/context.ts"
import type { DbOrTx, Tx } from "../../platform/db/database.ts"
import { findThing } from "../../platform/noun/list.ts"
import { fieldsOf } from "../../platform/noun/noun.ts"
import { noteMessage } from "../message/note.ts"
import type { Place } from "../pool/place.ts"
import { everything } from "../viewer.ts"
import type { Actor } from "../volume/notification.ts"
import { volumeFields } from "../volume/store.ts"
import { messageFor } from "../volume/task.ts"
import type { Volume } from "../volume/volume.ts"
import { groupInvalid, groupNotFound, groupSuperseded } from "./faults.ts"
import { type Group, type GroupStatus, groupNoun } from "./group.ts"
import { notifyGroup } from "./notification.ts"

const groupFields = fieldsOf(groupNoun, everything)

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

const columnsOf = ({ status, place, problem }: GroupChanges) => ({
  ...(status !== undefined && { status }),
  ...(place !== undefined && { host: place?.host ?? null, backend: place?.backend ?? null }),
  ...(problem !== undefined && { problem }),
  updated_at: sql<Date>`now()`,
})

export async function selectGroup(db: DbOrTx, id: string): Promise<Group | undefined> {
  return await findThing(db, groupNoun, everything, id)
}

/** The row, held until the transaction ends. */
export async function lockGroup(tx: Tx, id: string): Promise<Group> {
  const group = await tx
    .selectFrom("block_storage.volume_group")
    .select(groupFields)
    .where("id", "=", id)
    .forUpdate()
    .$castTo<Group>()
    .executeTakeFirst()
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

/** Takes it for a task: only from these statuses, with a new generation. */
export async function claimGroup(
  tx: Tx,
  id: string,
  from: readonly GroupStatus[],
  status: GroupStatus,
): Promise<Group> {
  const claimed = await tx
    .updateTable("block_storage.volume_group")
    .set({ status, generation: sql<number>`generation + 1`, updated_at: sql<Date>`now()` })
    .where("id", "=", id)
    .where("status", "in", from)
    .returning(groupFields)
    .$castTo<Group>()
    .executeTakeFirst()
  if (claimed) return claimed
  const now = await selectGroup(tx, id)
  if (!now) throw groupNotFound(id)
  throw groupInvalid(`Group status must be ${from.join(" or ")}, but current status is: ${now.status}.`)
}

/** The row as long as this task holds it. */
export async function heldGroup({ db }: { db: DbOrTx }, task: GroupTask): Promise<Group> {
  const group = await selectGroup(db, task.groupId)
  if (group?.generation !== task.generation) throw groupSuperseded(task.groupId)
  return group
}

/** A step of the task that holds this generation; undefined when another task has taken it since. */
export async function changeGroup(
  tx: Tx,
  { groupId, generation }: GroupTask,
  changes: GroupChanges,
): Promise<Group | undefined> {
  return await tx
    .updateTable("block_storage.volume_group")
    .set(columnsOf(changes))
    .where("id", "=", groupId)
    .where("generation", "=", generation)
    .returning(groupFields)
    .$castTo<Group>()
    .executeTakeFirst()
}

/** The end of a task that went well. */
export async function finishGroup(
  platform: Platform,
  tx: Tx,
  task: GroupTask,
  event: string,
  changes: GroupChanges,
): Promise<void> {
  const group = await changeGroup(tx, task, { problem: null, ...changes })
  if (!group) throw groupSuperseded(task.groupId)
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

/** Throws when another task has it now. */
export async function removeGroup(tx: Tx, { groupId, generation }: GroupTask): Promise<void> {
  const { numDeletedRows } = await tx
    .deleteFrom("block_storage.volume_group")
    .where("id", "=", groupId)
    .where("generation", "=", generation)
    .executeTakeFirstOrThrow()
  if (numDeletedRows === 0n) throw groupSuperseded(groupId)
}
