// Messages are kept for a month.
import type { Reconciler } from "../../engine/reconcile/reconciler.ts"

/** Of a pass; the others wait for the next one. */
const atOnceMost = 1_000

export const pruneMessagesReconciler: Reconciler = {
  name: "block_storage.messages",
  intervalMs: 3_600_000,
  timeoutMs: 60_000,
  run: async ({ db, clock }) => {
    const old = db
      .selectFrom("block_storage.message")
      .select("id")
      .where("expires_at", "<", clock.now())
      .limit(atOnceMost)
    const { numDeletedRows } = await db
      .deleteFrom("block_storage.message")
      .where("id", "in", old)
      .executeTakeFirstOrThrow()
    return { removed: Number(numDeletedRows) }
  },
}
