// What was begun to be made of a volume, snapshots and other volumes, gets the data that the volume had then: whoever
// changes them, or gives the volume to others who will, waits for it. Begun is what has its row; nothing more is begun
// while a task has the volume.
import { sql } from "kysely"
import type { Ctx } from "../../platform/context/context.ts"
import type { DbOrTx } from "../../platform/db/database.ts"

export async function isBeingCopied(db: DbOrTx, volumeId: string): Promise<boolean> {
  const { rows } = await sql<{ isCopied: boolean }>`select
    exists (select from block_storage.snapshot where volume_id = ${volumeId} and status = 'creating')
    or exists (select from block_storage.volume where source_volume_id = ${volumeId} and status = 'creating')
    as "isCopied"`.execute(db)
  return rows[0]?.isCopied ?? false
}

const askEveryMs = 250

/** For tasks that have the volume. */
export async function awaitCopies({ db, clock }: Ctx, volumeId: string, signal: AbortSignal): Promise<void> {
  while (await isBeingCopied(db, volumeId)) await clock.sleep(askEveryMs, signal)
}
