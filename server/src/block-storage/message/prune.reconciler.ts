// Messages are kept for a month.
import type { Reconciler } from "../../engine/reconcile/reconciler.ts"

/** Of a statement. */
const atOnceMost = 1_000

export const pruneMessagesReconciler: Reconciler = {
  name: "block_storage.messages",
  intervalMs: 3_600_000,
  timeoutMs: 60_000,
  run: async ({ db, clock }, signal) => {
    const now = clock.now()
    let removed = 0
    while (!signal.aborted) {
      const old = db
        .selectFrom("block_storage.message")
        .select("id")
        .where("expires_at", "<", now)
        .limit(atOnceMost)
      const { numDeletedRows } = await db
        .deleteFrom("block_storage.message")
        .where("id", "in", old)
        .executeTakeFirstOrThrow()
      removed += Number(numDeletedRows)
      if (numDeletedRows < atOnceMost) break
    }
    return { removed }
  },
}
