// Trusts that were deleted or are past their end, and OAuth tokens past theirs, are of no use to anybody: they stay for
// a while, as people ask what became of them, and go a bounded number at a time.
import { sql } from "kysely"
import type { Reconciler } from "../engine/reconcile/reconciler.ts"
import type { Platform } from "../platform/context/context.ts"
import type { Db } from "../platform/db/database.ts"

const batch = 500
const intervalMs = 600_000

export const identityPruneReconciler: Reconciler = {
  name: "identity.prune",
  intervalMs,
  timeoutMs: 60_000,
  run: pruneIdentity,
}

/** What ended when. A trust that was passed on ends with the one that it stands on, and goes with it. */
const ended = [
  { table: sql.table("identity.trust"), at: sql`least(deleted_at, expires_at)` },
  { table: sql.table("identity.oauth_request_token"), at: sql`expires_at` },
  { table: sql.table("identity.oauth_access_token"), at: sql`expires_at` },
] as const

export async function pruneIdentity(platform: Platform, signal: AbortSignal): Promise<{ removed: number }> {
  const { db, config } = platform
  let removed = 0
  for (const each of ended) {
    for (;;) {
      if (signal.aborted) return { removed }
      const count = await removeSome(db, each, config.identity.endedDelegationsKeepMs)
      removed += count
      if (count < batch) break
    }
  }
  return { removed }
}

async function removeSome(db: Db, { table, at }: (typeof ended)[number], keepMs: number): Promise<number> {
  const { rows } = await sql<{ id: string }>`select id from ${table}
    where ${at} < now() - make_interval(secs => ${keepMs / 1000}::float8) limit ${batch}`.execute(db)
  // A deletion of nothing would be told as a change, and every process would forget the tokens that it knows.
  if (rows.length === 0) return 0
  await sql`delete from ${table} where id = any(${rows.map((row) => row.id)}::text[])`.execute(db)
  return rows.length
}
