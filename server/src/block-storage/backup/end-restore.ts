import type { Platform } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"
import type { Actor } from "../volume/notification.ts"
import { notifyBackup } from "./notification.ts"
import type { RestoredBackup } from "./origin.ts"
import { changeBackup, selectBackup } from "./store.ts"

/** The backup is as it was. Repeatable; of one that another task has nothing changes. */
export async function endRestore(
  platform: Platform,
  tx: Tx,
  { id: backupId, generation }: Pick<RestoredBackup, "id" | "generation">,
  actor: Actor,
  how: "end" | "error",
): Promise<void> {
  const now = await selectBackup(tx, backupId)
  if (now?.generation !== generation || now.status !== "restoring") return
  const backup = await changeBackup(tx, { backupId, generation }, { status: "available" })
  if (backup) await notifyBackup(platform, tx, backup, `restore.${how}`, actor)
}
