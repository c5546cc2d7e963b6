import type { SagaFailure } from "../../engine/saga/saga.ts"
import type { Platform } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"
import { backupInvalid, backupNotFound, backupSuperseded } from "../faults.ts"
import { type MessageAction, noteMessage } from "../message/note.ts"
import { taskRows } from "../task-row.ts"
import type { Actor } from "../volume/notification.ts"
import { messageFor } from "../volume/task.ts"
import { type Backup, type BackupStatus, backupNoun } from "./backup.ts"
import { notifyBackup } from "./notification.ts"

/** What a saga of a backup holds. */
export interface BackupTask extends Actor {
  backupId: string
  generation: number
}

export interface BackupChanges {
  status?: BackupStatus
  problem?: string | null
  data_id?: string | null
}

const rows = taskRows({
  noun: backupNoun,
  idOf: ({ backupId }: Pick<BackupTask, "backupId" | "generation">) => backupId,
  columns: (changes: BackupChanges) => ({ ...changes }),
  superseded: backupSuperseded,
})

export const {
  select: selectBackup,
  lock: lockBackup,
  held: heldBackup,
  change: changeBackup,
  advance: advanceBackup,
  remove: removeBackup,
} = rows

export async function claimBackup(
  tx: Tx,
  id: string,
  from: readonly BackupStatus[],
  status: BackupStatus,
): Promise<Backup> {
  const claimed = await rows.take(tx, id, from, status)
  if (claimed) return claimed
  const now = await selectBackup(tx, id)
  if (!now) throw backupNotFound(id)
  throw backupInvalid(`Backup status must be ${from.join(" or ")}, but it is ${now.status}.`)
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
