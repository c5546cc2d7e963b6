// Removes what was deleted while its host was away.
import type { Reconciler } from "../../engine/reconcile/reconciler.ts"
import type { Platform } from "../../platform/context/context.ts"
import { describeError } from "../../platform/fault/fault.ts"
import { callAgent, unlessOvertaken } from "../agent-call.ts"

/** Above what any run of the task has sent: it is over, and what the host has heard of it last may be its first half. */
const afterAll = Number.MAX_SAFE_INTEGER

/** Of a pass; the others wait for the next one. */
const atOnceMost = 100

export const leftoversReconciler: Reconciler = {
  name: "block_storage.leftovers",
  intervalMs: 30_000,
  timeoutMs: 120_000,
  run: removeLeftovers,
}

interface LeftoversStatus extends Record<string, number> {
  removed: number
  failed: number
}

export async function removeLeftovers(platform: Platform, signal: AbortSignal): Promise<LeftoversStatus> {
  const status = { removed: 0, failed: 0 }
  const since = new Date(platform.clock.now().getTime() - platform.config.blockStorage.poolDownAfterMs)
  const due = await platform.db
    .selectFrom("block_storage.leftover as l")
    .innerJoin("block_storage.pool as p", (on) =>
      on.onRef("p.host", "=", "l.host").onRef("p.backend", "=", "l.backend"),
    )
    .where("p.reported_at", ">", since)
    .select(["l.volume_id as volumeId", "l.host", "l.backend", "l.generation"])
    // Those that were never tried first, then what has waited longest.
    .orderBy("l.tried_at", (order) => order.asc().nullsFirst())
    .orderBy("l.volume_id")
    .limit(atOnceMost)
    .execute()
  for (const { volumeId, host, backend, generation } of due) {
    if (signal.aborted) break
    try {
      const command = { volumeId, backend, fence: { generation, fence: afterAll } }
      await unlessOvertaken(callAgent(platform, host, "volume.delete", command, { signal }))
      await platform.db
        .deleteFrom("block_storage.leftover")
        .where("volume_id", "=", volumeId)
        .where("host", "=", host)
        .execute()
      status.removed++
    } catch (error) {
      // One that cannot be removed must not keep the others from it.
      status.failed++
      await platform.db
        .updateTable("block_storage.leftover")
        .set({ tried_at: platform.clock.now() })
        .where("volume_id", "=", volumeId)
        .where("host", "=", host)
        .execute()
      platform.log.warn(
        { host, volumeId, err: describeError(error) },
        "data of a deleted volume stay for now",
      )
    }
  }
  return status
}
