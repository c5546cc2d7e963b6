// The SQL of sagas. Every write of a worker is one statement that asserts the fence: it updates the saga's row
// `where fence = mine` and writes the log from that row. The update waits for a claim that is under way and then
// sees the new fence, so no write of an old owner can slip in behind the new owner's reading of the log.
import { type RawBuilder, sql } from "kysely"
import { type Db, type DbOrTx, pgErrorCode, type Tx } from "../../platform/db/database.ts"
import type { Gathered } from "../../platform/db/gather.ts"
import { unawaited } from "../../platform/db/named-statements.ts"
import type { SagaFailure } from "./saga.ts"

export type SagaState = "running" | "unwinding" | "done" | "unwound" | "stuck"

export interface SagaRow {
  id: string
  name: string
  version: number
  params: unknown
  state: SagaState
  request_id: string
  fence: number
  attempts: number
  waits: number
  failure: SagaFailure | null
}

export type EventKind = "do_started" | "do_done" | "do_failed" | "undo_started" | "undo_done"

export interface LogEvent {
  node: string
  kind: EventKind
  data?: unknown
}

export interface NewSaga {
  id: string
  name: string
  version: number
  params: unknown
  requestId: string
  resourceId: string | null
  /** Set, with the first step, when this process runs it itself right after the commit. */
  owner: string | null
  firstNode: string | null
  leaseMs: number
}

const milliseconds = (ms: number): RawBuilder<unknown> => sql`make_interval(secs => ${ms / 1000}::float8)`
const leaseEnd = (ms: number): RawBuilder<unknown> => sql`clock_timestamp() + ${milliseconds(ms)}`

const withParams = (saga: NewSaga): NewSaga => ({ ...saga, params: saga.params ?? null })

/** The sagas and, of those whose owner is known, the start of their first step: with it the owner needs no claim. */
export const newSagas: Gathered<NewSaga> = {
  write: (sagas) => ({
    sagas_given: sql`
      select * from jsonb_to_recordset(${JSON.stringify(sagas.map(withParams))}::jsonb)
        as g (id uuid, name text, version int, params jsonb, "requestId" text, "resourceId" text, owner text,
          "firstNode" text, "leaseMs" float8)`,
    sagas_made: sql`
      insert into engine.saga
        (id, name, version, params, state, resource_id, request_id, fence, owner, lease_until)
      select id, name, version, coalesce(params, 'null'), 'running', "resourceId", "requestId",
        case when owner is null then 0 else 1 end, owner,
        case when owner is not null then clock_timestamp() + make_interval(secs => "leaseMs" / 1000) end
      from sagas_given
      returning id`,
    sagas_begun: sql`
      insert into engine.saga_event (saga_id, node, kind, fence)
      select made.id, given."firstNode", 'do_started', 1
      from sagas_made made join sagas_given given on given.id = made.id
      where given.owner is not null`,
  }),
}

/** Ends the leases of processes that are known to be dead; each saga may be claimed at once. */
export async function endLeases(db: Db): Promise<void> {
  await sql`update engine.saga set lease_until = null
    where state in ('running', 'unwinding') and lease_until is not null`.execute(db)
}

export interface ClaimRequest {
  owner: string
  leaseMs: number
  /** Sagas that this owner runs now. */
  held: readonly string[]
  /** Sagas that it left in the middle while its lease lasts, so it need not wait for its end. */
  left: readonly string[]
  known: readonly { name: string; version: number }[]
  limit: number
}

/** Takes sagas that nobody works on, oldest first. */
export async function claimSagas(db: Db, request: ClaimRequest): Promise<SagaRow[]> {
  const { rows } = await sql<SagaRow>`
    with due as (
      select id from engine.saga
      where state in ('running', 'unwinding') and run_at <= now()
        and (lease_until is null or lease_until < now()
          or (owner = ${request.owner} and id = any(${request.left}::uuid[])))
        and id <> all(${request.held}::uuid[])
        and (name, version) in (
          select * from unnest(${request.known.map((k) => k.name)}::text[],
            ${request.known.map((k) => k.version)}::int[]))
      order by run_at
      limit ${request.limit}
      for update skip locked
    )
    update engine.saga s
    set fence = s.fence + 1, owner = ${request.owner}, lease_until = ${leaseEnd(request.leaseMs)},
      updated_at = clock_timestamp()
    from due where s.id = due.id
    returning s.id, s.name, s.version, s.params, s.state, s.request_id, s.fence, s.attempts, s.waits, s.failure
  `.execute(db)
  return rows
}

export interface LoggedEvent {
  sagaId: string
  node: string
  kind: EventKind
  data: unknown
}

export async function readLogs(db: DbOrTx, sagaIds: readonly string[]): Promise<LoggedEvent[]> {
  const { rows } = await sql<LoggedEvent>`
    select saga_id as "sagaId", node, kind, data from engine.saga_event
    where saga_id = any(${sagaIds}::uuid[]) order by at, kind
  `.execute(db)
  return rows
}

/**
 * What a try that did not end its node counts as: a failed one, one that found its other side away, one whose turn has
 * not come, or nothing.
 */
export type Tried = "attempt" | "wait" | "turn" | null

/** What follows from a write: the worker keeps the saga, gives it back (at once or later), or it has ended. */
export type After =
  | { kind: "keep"; state: "running" | "unwinding" }
  | { kind: "release"; waitMs: number; counts: Tried; error: string | null }
  | { kind: "end"; state: "done" | "unwound" | "stuck"; error?: string }

export interface LogWrite {
  sagaId: string
  fence: number
  /** Higher than `fence` when the old one may still be on its way somewhere. */
  nextFence: number
  leaseMs: number
  events: readonly LogEvent[]
  failure: SagaFailure | null
  after: After
  /** Within a transaction: its commit does not wait for the disk. */
  isFlushedLater?: boolean
  /** What else the transaction writes last (`allButLast`). */
  besides?: RawBuilder<unknown> | undefined
}

/**
 * Whether the fence is still the highest; then it stays so until the transaction ends, because whoever raises it locks
 * the row `for update` first. The lock leaves all else alone that this row's owner writes: leases, the log.
 */
export async function holdsFence(tx: Tx, sagaId: string, fence: number): Promise<boolean> {
  const { rows } = await sql`
    select from engine.saga
    where id = ${sagaId} and fence = ${fence} and state in ('running', 'unwinding') for key share
  `.execute(tx)
  return rows.length > 0
}

/** False when another worker owns the saga now; then nothing was written. */
export async function writeLog(db: Db, write: LogWrite): Promise<boolean> {
  return (await logStatement(write, sql`select from owned`).execute(db)).rows.length > 0
}

/**
 * The same as the last statement of a transaction, which does not wait for it: when another worker owns the saga the
 * transaction fails, as `isLeaseLost` says.
 */
export async function writeLogLast(tx: Tx, write: LogWrite): Promise<void> {
  const isOurs = sql`1 / count(*)${write.isFlushedLater ? sql`, set_config('synchronous_commit', 'off', true)` : sql``}`
  await logStatement(write, sql`select ${isOurs} from owned ${sql.raw(unawaited)}`).execute(tx)
}

/** Of a transaction that has come to its `writeLogLast`. */
export function isLeaseLost(error: unknown): boolean {
  return pgErrorCode(error) === divisionByZero
}

const divisionByZero = "22012"

function logStatement(write: LogWrite, answer: RawBuilder<unknown>): RawBuilder<unknown> {
  // A fence that rises waits for the transactions that have asserted the old one (`holdsFence`).
  const risen =
    write.nextFence === write.fence
      ? sql``
      : sql`and id in (select id from engine.saga where id = ${write.sagaId} for update)`
  return sql`
    with owned as (
      update engine.saga
      set fence = ${write.nextFence}, updated_at = clock_timestamp(),
        failure = coalesce(${write.failure === null ? null : JSON.stringify(write.failure)}::jsonb, failure),
        ${assignments(write)}
      where id = ${write.sagaId} and fence = ${write.fence} and state in ('running', 'unwinding') ${risen}
      returning id
    ), logged as (
      insert into engine.saga_event (saga_id, node, kind, data, fence, at)
      select owned.id, e.node, e.kind, e.data, ${write.fence}, clock_timestamp()
      from owned, jsonb_to_recordset(${JSON.stringify(write.events)}::jsonb)
        as e (node text, kind text, data jsonb)
      on conflict (saga_id, node, kind) do update
      set data = excluded.data, fence = excluded.fence, at = excluded.at
    )${write.besides ? sql`, ${write.besides}` : sql``}
    ${answer}`
}

const triedAssignments = {
  attempt: sql`attempts = attempts + 1, waits = 0`,
  wait: sql`waits = waits + 1`,
  // Woken with those that wait, and never one of those that have waited for long.
  turn: sql`waits = 1`,
  nothing: sql`attempts = attempts`,
}

function assignments({ after, leaseMs }: LogWrite): RawBuilder<unknown> {
  switch (after.kind) {
    case "keep":
      return sql`state = ${after.state}, attempts = 0, waits = 0, lease_until = ${leaseEnd(leaseMs)}`
    case "release":
      return sql`owner = null, lease_until = null, run_at = ${leaseEnd(after.waitMs)},
        ${triedAssignments[after.counts ?? "nothing"]},
        last_error = coalesce(${after.error}, last_error)`
    case "end":
      return sql`state = ${after.state}, waits = 0, owner = null, lease_until = null,
        last_error = coalesce(${after.error ?? null}, last_error),
        ended_at = ${after.state === "stuck" ? null : sql`clock_timestamp()`}`
  }
}

/** Prolongs the leases of what this worker holds; returns the ids that are still its own. */
export async function renewLeases(
  db: Db,
  held: readonly { id: string; fence: number }[],
  leaseMs: number,
): Promise<Set<string>> {
  const { rows } = await sql<{ id: string }>`
    update engine.saga s set lease_until = ${leaseEnd(leaseMs)}
    from unnest(${held.map((h) => h.id)}::uuid[], ${held.map((h) => h.fence)}::bigint[]) as h (id, fence)
    where s.id = h.id and s.fence = h.fence and s.state in ('running', 'unwinding')
    returning s.id
  `.execute(db)
  return new Set(rows.map((row) => row.id))
}

/** Gives back what was recorded as this owner's and never begun: the process stops. */
export async function releaseAll(db: Db, owner: string): Promise<void> {
  await sql`
    update engine.saga set owner = null, lease_until = null
    where owner = ${owner} and state in ('running', 'unwinding')
  `.execute(db)
}

/** Those that found their other side away try again at once; how many there are. */
export async function wakeWaiting(db: Db): Promise<number> {
  const { numAffectedRows } = await sql`
    update engine.saga set run_at = now()
    where waits > 0 and state in ('running', 'unwinding') and lease_until is null and run_at > now()
  `.execute(db)
  return Number(numAffectedRows ?? 0)
}

export interface SagaResult {
  id: string
  name: string
  state: SagaState
  fence: number
  failure: SagaFailure | null
  lastError: string | null
}

export async function readSaga(db: DbOrTx, id: string): Promise<SagaResult | undefined> {
  const { rows } = await sql<SagaResult>`
    select id, name, state, fence, failure, last_error as "lastError" from engine.saga where id = ${id}
  `.execute(db)
  return rows[0]
}

/** An operator has removed the cause: the undo is tried again from where it stopped. */
export async function resumeStuckSaga(db: Db, id: string): Promise<boolean> {
  const { rows } = await sql`
    update engine.saga set state = 'unwinding', attempts = 0, waits = 0, run_at = now(), updated_at = now()
    where id = ${id} and state = 'stuck' returning id
  `.execute(db)
  return rows.length > 0
}

export interface TroubledSaga {
  id: string
  /** `compute.server.create` */
  name: string
  state: SagaState
  resourceId: string | null
  /** Tries in a row that found the other side away. */
  waits: number
  lastError: string | null
  since: Date
}

/** Those that are stuck, and those that wait for what is away; the worst and the oldest first. */
export async function listTroubledSagas(db: DbOrTx, limit: number): Promise<TroubledSaga[]> {
  const columns = sql`id, name, state, resource_id as "resourceId", waits, last_error as "lastError", updated_at as since`
  const { rows } = await sql<TroubledSaga>`
    (select ${columns} from engine.saga where state = 'stuck' order by updated_at limit ${limit})
    union all
    (select ${columns} from engine.saga where waits > 0 and state in ('running', 'unwinding')
      order by waits desc limit ${limit})
    limit ${limit}`.execute(db)
  return rows
}

export interface SagaHistory extends TroubledSaga {
  requestId: string
  createdAt: Date
  failure: SagaFailure | null
  /** In order: the end of one step is written with the beginning of the next. `data` of a failure says why. */
  events: { node: string; kind: LogEvent["kind"]; at: string; data: unknown }[]
}

export async function readSagaHistory(db: DbOrTx, id: string): Promise<SagaHistory | undefined> {
  const { rows } = await sql<SagaHistory>`
    select id, name, state, resource_id as "resourceId", waits, last_error as "lastError", updated_at as since,
      request_id as "requestId", created_at as "createdAt", failure,
      (select coalesce(json_agg(json_build_object('node', node, 'kind', kind, 'at', at,
          'data', case when kind = 'do_failed' then data end)
          order by at, kind like '%\\_started'),
          '[]')
        from engine.saga_event where saga_id = s.id) as events
    from engine.saga s where id = ${id}`.execute(db)
  return rows[0]
}

export interface WaitingSagas {
  count: number
  since: Date | null
  /** Why the longest of them waits. */
  error: string | null
}

/** Sagas that found their other side away at least so often in a row. */
export async function countWaitingSagas(db: DbOrTx, waits: number): Promise<WaitingSagas> {
  const { rows } = await sql<WaitingSagas>`
    select count(*)::int as count, min(created_at) as since, (array_agg(last_error order by waits desc))[1] as error
    from engine.saga where waits >= ${waits} and state in ('running', 'unwinding')
  `.execute(db)
  return rows[0] ?? { count: 0, since: null, error: null }
}

export async function countSagas(db: DbOrTx): Promise<Record<SagaState, number>> {
  const counts: Record<SagaState, number> = { running: 0, unwinding: 0, done: 0, unwound: 0, stuck: 0 }
  const { rows } = await sql<{ state: SagaState; count: number }>`
    select state, count(*) as count from engine.saga where ended_at is null group by state
  `.execute(db)
  for (const row of rows) counts[row.state] = row.count
  return counts
}

export interface UnknownSagas {
  name: string
  version: number
  count: number
}

/** Sagas on their way that none of these is: a program that knew them has begun them, and nobody goes on with them. */
export async function countUnknownSagas(db: DbOrTx, known: ClaimRequest["known"]): Promise<UnknownSagas[]> {
  const { rows } = await sql<UnknownSagas>`
    select name, version, count(*) as count from engine.saga
    where state in ('running', 'unwinding') and (name, version) not in (
      select * from unnest(${known.map((k) => k.name)}::text[], ${known.map((k) => k.version)}::int[]))
    group by name, version order by name, version
  `.execute(db)
  return rows
}

/** Removes what ended long ago; returns how many, at most `limit`. */
export async function pruneSagas(db: Db, keepMs: number, limit: number): Promise<number> {
  const { numAffectedRows } = await sql`
    delete from engine.saga where id in (
      select id from engine.saga where ended_at < now() - ${milliseconds(keepMs)}
      order by ended_at limit ${limit} for update skip locked)
  `.execute(db)
  return Number(numAffectedRows ?? 0)
}
