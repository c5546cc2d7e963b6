// A backup as what a volume is made from.
import type { Ctx } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"
import { findThing } from "../../platform/noun/list.ts"
import { backupInvalid, backupNotFound } from "../faults.ts"
import type { Viewer } from "../viewer.ts"
import { keyOfBackup } from "../volume/stored-key.ts"
import { backupNoun } from "./backup.ts"
import { selectData } from "./data.ts"
import { claimBackup } from "./store.ts"

export interface RestoredBackup {
  kind: "backup"
  id: string
  dataId: string
  /** Of the backup, as long as it is restored from. */
  generation: number
}

export async function originOfBackup(ctx: Ctx, viewer: Viewer, id: string) {
  const backup = await findThing(ctx.db, backupNoun, viewer, id)
  if (!backup) throw backupNotFound(id)
  if (backup.status !== "available")
    throw backupInvalid(`Backup status must be available, but it is ${backup.status}.`)
  const { dataId, generation, sizeGib: least, volumeFacts } = backup
  if (dataId === null) throw backupInvalid("it has no data.")
  const { imageMetadata, isBootable, metadata } = volumeFacts
  // Of another one: the default, as for a new volume.
  const typeId = (await keyOfBackup(ctx.db, id))?.volumeTypeId ?? null
  const source = { kind: "backup", id, dataId, generation } as const
  return { imageMetadata, isBootable, metadata, typeId, source, least }
}

/** Nobody deletes it, nor restores it to another volume, until the task with this generation is over. */
export async function holdBackup(tx: Tx, id: string): Promise<RestoredBackup> {
  const { dataId, generation } = await claimBackup(tx, id, ["available"], "restoring")
  if (dataId === null || !(await selectData(tx, dataId))?.isWhole) throw backupInvalid("it has no data.")
  return { kind: "backup", id, dataId, generation }
}
