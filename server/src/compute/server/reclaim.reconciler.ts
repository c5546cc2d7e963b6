// What was deleted and kept goes when its while is over (`compute.reclaimIntervalMs`). When nothing is kept any more, the
// rest goes with the next pass.
import { sql } from "kysely"
import type { Reconciler } from "../../engine/reconcile/reconciler.ts"
import { internalCtx, type Platform } from "../../platform/context/context.ts"
import { describeError } from "../../platform/fault/fault.ts"
import { beginDelete } from "./delete.ts"

/** In one pass. */
const batch = 200

export const reclaimReconciler: Reconciler = {
  name: "compute.reclaim",
  intervalMs: 60_000,
  timeoutMs: 60_000,
  run: reclaimServers,
}

export async function reclaimServers(
  platform: Platform,
  signal: AbortSignal,
): Promise<{ reclaimed: number; failed: number }> {
  const keptMs = platform.config.compute.reclaimIntervalMs
  const { rows } = await sql<{ id: string }>`
    select id from compute.server
    where soft_deleted_at < now() - make_interval(secs => ${keptMs / 1000}::float8) and deleted_at is null
      and vm_state = 'soft-delete' and task_state is null
    order by soft_deleted_at limit ${batch}`.execute(platform.db)
  const status = { reclaimed: 0, failed: 0 }
  for (const { id } of rows) {
    if (signal.aborted) break
    try {
      await beginDelete(internalCtx(platform), id)
      status.reclaimed++
    } catch (error) {
      status.failed++
      platform.log.warn(
        { serverId: id, err: describeError(error) },
        "a deleted server could not be reclaimed",
      )
    }
  }
  return status
}
