// Deleted servers stay for a while, as their usage, actions and changes are asked for; then they go with all that
// belongs to them, a bounded number in each statement.
import { sql } from "kysely"
import type { Reconciler } from "../../engine/reconcile/reconciler.ts"
import type { Platform } from "../../platform/context/context.ts"
import type { Db } from "../../platform/db/database.ts"

const batch = 500
const intervalMs = 600_000

export const pruneReconciler: Reconciler = {
  name: "compute.prune",
  intervalMs,
  timeoutMs: 60_000,
  run: pruneServers,
}

export async function pruneServers(platform: Platform, signal: AbortSignal): Promise<{ removed: number }> {
  const { db, config } = platform
  let removed = 0
  while (!signal.aborted) {
    const count = await removeSome(db, config.compute.deletedServersKeepMs)
    removed += count
    if (count < batch) break
  }
  return { removed }
}

/** Actions and their events go with their server. */
async function removeSome(db: Db, keepMs: number): Promise<number> {
  const { rows } = await sql`
    with old as (
      select id from compute.server where deleted_at < now() - make_interval(secs => ${keepMs / 1000}::float8)
      order by deleted_at limit ${batch} for update skip locked
    ), moves as (
      delete from compute.migration where server_id in (select id from old)
    )
    delete from compute.server where id in (select id from old) returning id`.execute(db)
  return rows.length
}
