// Removes data that no backup has any more: what could not be removed at once, and once more what a host may have
// written that heard of it late.
import { sql } from "kysely"
import type { Reconciler } from "../../engine/reconcile/reconciler.ts"
import type { Platform } from "../../platform/context/context.ts"
import { describeError } from "../../platform/fault/fault.ts"
import { ticketTimes } from "../agent-call.ts"
import { removeObjects } from "./data.ts"
import { settleStore } from "./unknown.ts"

/** Of a pass; the others wait for the next one. */
const atOnceMost = 100

export const backupDataReconciler: Reconciler = {
  name: "block_storage.backup_data",
  intervalMs: 30_000,
  timeoutMs: 600_000,
  run: removeBackupData,
}

/** Reads the names of all that is in the store, and only when a backup of the cloud was restored. */
export const backupStoreReconciler: Reconciler = {
  name: "block_storage.backup_store",
  intervalMs: 300_000,
  timeoutMs: 600_000,
  run: settleStore,
}

interface RemovedStatus extends Record<string, number> {
  removed: number
  failed: number
}

export async function removeBackupData(platform: Platform, signal: AbortSignal): Promise<RemovedStatus> {
  const status = { removed: 0, failed: 0 }
  const { clock, config, db, log } = platform
  const now = clock.now()
  // No host's ticket is good for longer.
  const settled = new Date(now.getTime() - config.blockStorage.agentCopyTimeoutMs * ticketTimes)
  const due = await db
    .selectFrom("block_storage.backup_data as d")
    .select(["d.id", "d.going_since"])
    .where("d.going_since", "is not", null)
    .where((on) =>
      on.or([
        on("d.removed_at", "is", null),
        on.and([on("d.going_since", "<", settled), isNoBackups("d.id")]),
      ]),
    )
    // Those that were never tried first, then what has waited longest.
    .orderBy("d.tried_at", (order) => order.asc().nullsFirst())
    .orderBy("d.id")
    .limit(atOnceMost)
    .execute()
  for (const { id, going_since: since } of due) {
    if (signal.aborted) break
    try {
      await removeObjects(platform, id)
      await note(platform, id, { removed_at: now })
      if (since !== null && since < settled) await forget(platform, id)
      status.removed++
    } catch (error) {
      // One that cannot be removed must not keep the others from it.
      status.failed++
      await note(platform, id, { tried_at: now })
      log.warn({ dataId: id, err: describeError(error) }, "data of a backup stay for now")
    }
  }
  return status
}

async function note(
  { db }: Platform,
  id: string,
  changes: { removed_at: Date } | { tried_at: Date },
): Promise<void> {
  await db.updateTable("block_storage.backup_data").set(changes).where("id", "=", id).execute()
}

/** A backup that could not be deleted whole keeps the row. */
const isNoBackups = (id: string) =>
  sql<boolean>`not exists (select from block_storage.backup b where b.data_id = ${sql.ref(id)})`

async function forget({ db }: Platform, id: string): Promise<void> {
  await db
    .deleteFrom("block_storage.backup_data as d")
    .where("d.id", "=", id)
    .where(isNoBackups("d.id"))
    .execute()
}
