import { sql } from "kysely"
import type { SagaFailure } from "../../engine/saga/saga.ts"
import type { Platform } from "../../platform/context/context.ts"
import type { DbOrTx, Tx } from "../../platform/db/database.ts"
import { findThing } from "../../platform/noun/list.ts"
import { fieldsOf } from "../../platform/noun/noun.ts"
import { backupInvalid, backupNotFound, backupSuperseded } from "../faults.ts"
import { type MessageAction, noteMessage } from "../message/note.ts"
import { everything } from "../viewer.ts"
import type { Actor } from "../volume/notification.ts"
import { messageFor } from "../volume/task.ts"
import { type Backup, type BackupStatus, backupNoun } from "./backup.ts"
import { notifyBackup } from "./notification.ts"

const backupFields = fieldsOf(backupNoun, everything)

/** What a saga of a backup holds. */
export interface BackupTask extends Actor {
  backupId: string
  generation: number
}

export async function selectBackup(db: DbOrTx, id: string): Promise<Backup | undefined> {
  return await findThing(db, backupNoun, everything, id)
}

/** The row as long as this task holds it. */
export async function heldBackup({ db }: { db: DbOrTx }, task: BackupTask): Promise<Backup> {
  const backup = await selectBackup(db, task.backupId)
  if (backup?.generation !== task.generation) throw backupSuperseded(task.backupId)
  return backup
}

/** Takes it for a task: only from these statuses, with a new generation. */
export async function claimBackup(
  tx: Tx,
  id: string,
  from: readonly BackupStatus[],
  status: BackupStatus,
): Promise<Backup> {
  const claimed = await tx
    .updateTable("block_storage.backup")
    .set({ status, generation: sql<number>`generation + 1`, updated_at: sql<Date>`now()` })
    .where("id", "=", id)
    .where("status", "in", from)
    .returning(backupFields)
    .$castTo<Backup>()
    .executeTakeFirst()
  if (claimed) return claimed
  const now = await selectBackup(tx, id)
  if (!now) throw backupNotFound(id)
  throw backupInvalid(`Backup status must be ${from.join(" or ")}, but it is ${now.status}.`)
}

export interface BackupChanges {
  status?: BackupStatus
  problem?: string | null
  data_id?: string | null
}

/** A step of the task that holds this generation; undefined when another task has taken it since. */
export async function changeBackup(
  tx: Tx,
  { backupId, generation }: Pick<BackupTask, "backupId" | "generation">,
  changes: BackupChanges,
): Promise<Backup | undefined> {
  return await tx
    .updateTable("block_storage.backup")
    .set({ ...changes, updated_at: sql<Date>`now()` })
    .where("id", "=", backupId)
    .where("generation", "=", generation)
    .returning(backupFields)
    .$castTo<Backup>()
    .executeTakeFirst()
}

/** Throws when another task has it now. */
export async function advanceBackup(tx: Tx, task: BackupTask, changes: BackupChanges): Promise<Backup> {
  const backup = await changeBackup(tx, task, changes)
  if (!backup) throw backupSuperseded(task.backupId)
  return backup
}

/** After a failure and its undoing: the task is over, and the user finds out why. */
export async function abandonBackup(
  platform: Platform,
  tx: Tx,
  task: BackupTask,
  how: { event: "create" | "delete"; action: MessageAction; status: BackupStatus; failure: SagaFailure },
): Promise<void> {
  const { action, event, failure, status } = how
  const text = messageFor(failure)
  const backup = await changeBackup(tx, task, { status, problem: text })
  // Another task has it now: what became of this one is nobody's business any more.
  if (!backup) return
  await notifyBackup(platform, tx, backup, `${event}.error`, task)
  const { id: resourceId, projectId } = backup
  const about = { resourceType: "VOLUME_BACKUP", resourceId, projectId, requestId: task.requestId } as const
  await noteMessage(platform, tx, { ...about, action, failure, text })
}

/** The row, held until the transaction ends. */
export async function lockBackup(tx: Tx, id: string): Promise<Backup | undefined> {
  return await tx
    .selectFrom("block_storage.backup")
    .select(backupFields)
    .where("id", "=", id)
    .forUpdate()
    .$castTo<Backup>()
    .executeTakeFirst()
}

export async function removeBackup(tx: Tx, { backupId, generation }: BackupTask): Promise<void> {
  const { numDeletedRows } = await tx
    .deleteFrom("block_storage.backup")
    .where("id", "=", backupId)
    .where("generation", "=", generation)
    .executeTakeFirstOrThrow()
  if (numDeletedRows === 0n) throw backupSuperseded(backupId)
}
