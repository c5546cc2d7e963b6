// After a crash: transfers that died give their images back, and what they had written so far goes.
import { sql } from "kysely"
import type { Reconciler } from "../../engine/reconcile/reconciler.ts"
import type { Platform } from "../../platform/context/context.ts"
import { isProcessAlive } from "../../platform/exec/process.ts"
import { describeError } from "../../platform/fault/fault.ts"
import { forgetCacheHosts } from "../cache/hosts.ts"
import { storeOfLaterEpoch } from "../faults.ts"
import { removeExpiredTasks } from "../task/store.ts"
import { workingStores } from "./file-store.ts"
import { removeDeadTransferFiles, setUnknownFilesAside } from "./unknown-files.ts"

/** Images whose writer is dead are queued again, at once for writers of this host. */
export async function requeueDeadTransfers(platform: Platform): Promise<number> {
  const { db, clock, config } = platform
  const now = clock.now()
  const rows = await db
    .selectFrom("image.image")
    .select(["id", "transfer_id", "transfer_host", "transfer_process"])
    .select(
      sql<number>`extract(epoch from clock_timestamp() - transfer_seen_at)::float8 * 1000`.as("quiet_ms"),
    )
    .where("transfer_id", "is not", null)
    .execute()
  let count = 0
  for (const row of rows) {
    const isDead =
      row.transfer_host === config.host && row.transfer_process !== null
        ? !isProcessAlive(row.transfer_process)
        : row.quiet_ms > config.image.transferLeaseMs
    if (!isDead) continue
    const done = await db
      .updateTable("image.image")
      .set({
        status: "queued",
        size_bytes: null,
        virtual_size_bytes: null,
        transfer_id: null,
        transfer_host: null,
        transfer_process: null,
        transfer_seen_at: null,
        generation: sql`generation + 1`,
        updated_at: now,
      })
      .where("id", "=", row.id)
      .where("transfer_id", "=", row.transfer_id)
      .executeTakeFirst()
    count += Number(done.numUpdatedRows)
  }
  return count
}

/** At start: what a dead process of this host left goes at once. */
export async function recoverTransfers(platform: Platform): Promise<void> {
  await workingStores(platform)
  const requeued = await requeueDeadTransfers(platform)
  // The cloud starts all the same; the reconciler says it again in `kumoi status`.
  const removed = await removeDeadTransferFiles(platform).catch((error: unknown) => {
    if (!storeOfLaterEpoch.is(error)) throw error
    platform.log.error({ err: describeError(error) }, "the image store is another database's")
    return 0
  })
  if (requeued + removed > 0) platform.log.info({ requeued, removed }, "image transfers recovered")
}

export const transferReconciler: Reconciler = {
  name: "image.transfers",
  intervalMs: 30_000,
  timeoutMs: 60_000,
  run: async (platform) => {
    const requeued = await requeueDeadTransfers(platform)
    const removed = await removeDeadTransferFiles(platform)
    await forgetCacheHosts(platform)
    const expiredTasks = await removeExpiredTasks(platform.db, platform.clock.now())
    return { requeued, removed, expiredTasks }
  },
}

/** Looks at every file of the store, so not often: a crash that leaves one is rare. */
export const unknownFilesReconciler: Reconciler = {
  name: "image.unknown_files",
  intervalMs: 1_800_000,
  timeoutMs: 600_000,
  run: async (platform, signal) => {
    return { setAside: await setUnknownFilesAside(platform, signal) }
  },
}
