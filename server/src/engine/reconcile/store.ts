import { sql } from "kysely"
import type { Db, DbOrTx } from "../../platform/db/database.ts"

export async function ensureReconcilers(db: Db, names: readonly string[]): Promise<void> {
  await sql`
    insert into engine.reconciler (name) select unnest(${names}::text[]) on conflict do nothing
  `.execute(db)
}

/**
 * Takes the run when nobody has it. A timer's claim also needs the last run to be long enough ago; a poke that finds
 * a run under way leaves its mark in the same statement, so that it cannot fall between that run's end and a look.
 * Returns the fence of the run, or null.
 */
export async function claimRun(
  db: Db,
  claim: { name: string; owner: string; leaseMs: number; isPoked: boolean; intervalMs: number },
): Promise<number | null> {
  const seconds = (ms: number) => sql`make_interval(secs => ${ms / 1000}::float8)`
  const isFree = sql`(lease_until is null or lease_until < clock_timestamp())`
  const { rows } = await sql<{ fence: number; is_mine: boolean }>`
    update engine.reconciler set
      is_poked = case when ${isFree} then false else true end,
      fence = case when ${isFree} then fence + 1 else fence end,
      owner = case when ${isFree} then ${claim.owner} else owner end,
      started_at = case when ${isFree} then clock_timestamp() else started_at end,
      lease_until = case when ${isFree} then clock_timestamp() + ${seconds(claim.leaseMs)} else lease_until end
    where name = ${claim.name} and (${claim.isPoked}::boolean or is_poked or (${isFree}
      and (ended_at is null or ended_at + ${seconds(claim.intervalMs)} <= clock_timestamp())))
    returning fence, owner = ${claim.owner} as is_mine
  `.execute(db)
  const [row] = rows
  return row?.is_mine ? row.fence : null
}

/** False when the run is no longer ours. */
export async function renewRun(db: Db, name: string, fence: number, leaseMs: number): Promise<boolean> {
  const { rows } = await sql`
    update engine.reconciler
    set lease_until = clock_timestamp() + make_interval(secs => ${leaseMs / 1000}::float8)
    where name = ${name} and fence = ${fence} returning name
  `.execute(db)
  return rows.length > 0
}

export interface RunOutcome {
  status: Record<string, unknown> | null
  error: string | null
  durationMs: number
}

/** True when somebody poked meanwhile. A failed run keeps the status of the last good one. */
export async function endRun(db: Db, name: string, fence: number, outcome: RunOutcome): Promise<boolean> {
  const { rows } = await sql<{ is_poked: boolean }>`
    update engine.reconciler
    set owner = null, lease_until = null, ended_at = clock_timestamp(), runs = runs + 1,
      duration_ms = ${Math.round(outcome.durationMs)}, error = ${outcome.error},
      status = coalesce(${outcome.status === null ? null : JSON.stringify(outcome.status)}::jsonb, status)
    where name = ${name} and fence = ${fence}
    returning is_poked
  `.execute(db)
  return rows[0]?.is_poked ?? false
}

export interface ReconcilerStatus {
  name: string
  isRunning: boolean
  startedAt: Date | null
  endedAt: Date | null
  durationMs: number | null
  runs: number
  /** What the last good run said. */
  status: Record<string, unknown> | null
  /** Why the last run failed; null when it did not. */
  error: string | null
}

export async function listReconcilers(db: DbOrTx): Promise<ReconcilerStatus[]> {
  const { rows } = await sql<ReconcilerStatus>`
    select name, coalesce(lease_until > now(), false) as "isRunning", started_at as "startedAt",
      ended_at as "endedAt", duration_ms as "durationMs", runs, status, error
    from engine.reconciler order by name
  `.execute(db)
  return rows
}
