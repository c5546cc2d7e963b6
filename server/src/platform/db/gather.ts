// What a transaction writes and nothing in it reads (events, logs, work to be done) is gathered and written together by
// one statement at the end of the transaction: each statement is a way to the database and back.
import { type RawBuilder, sql } from "kysely"
import type { Tx } from "./database.ts"
import { unawaited } from "./named-statements.ts"

/** One kind of what is gathered; a constant of the module that knows its table. */
export interface Gathered<R> {
  /**
   * The statements that write these rows, by names that are like no others: each may read by name what those before it
   * return, and none sees what another one of the transaction's last statement writes.
   */
  readonly write: (rows: readonly R[]) => Readonly<Record<string, RawBuilder<unknown>>>
}

/** Rows of one kind in one statement: what is sent to the database stays some megabytes. */
const rowsMost = 1_000

// biome-ignore lint/suspicious/noExplicitAny: kinds with rows of different types lie in one map
type Waiting = Map<Gathered<any>, unknown[]>

const waiting = new WeakMap<object, Waiting>()

/** By `transact`: rows may be gathered in this transaction, and are written before its end. */
export function beginGathering(tx: object): void {
  waiting.set(tx, new Map())
}

/** These are written last, with all else that is; a failure shows only then. */
export function gather<R>(tx: Tx, kind: Gathered<R>, rows: readonly R[]): void {
  const gathered = waiting.get(tx)
  if (!gathered) throw new Error("gather: this transaction was not begun by transact()")
  const before = gathered.get(kind)
  if (before) before.push(...rows)
  else gathered.set(kind, [...rows])
}

/** Writes what has been gathered so far, where the transaction goes on with it. */
export async function writeGathered(tx: Tx): Promise<void> {
  const last = await allButLast(tx)
  if (last) await writing(last).execute(tx)
}

const writing = (parts: RawBuilder<unknown>) => sql`with ${parts} select ${sql.raw(unawaited)}`

/**
 * The same as a part of the transaction's last statement, which begins `with ${…}`; undefined when there is nothing.
 * What does not fit into one statement is written before.
 */
export async function allButLast(tx: Tx): Promise<RawBuilder<unknown> | undefined> {
  const gathered = waiting.get(tx)
  if (!gathered) return undefined
  for (;;) {
    const parts: RawBuilder<unknown>[] = []
    let isLast = true
    for (const [kind, rows] of gathered) {
      const statements = Object.entries(kind.write(rows.splice(0, rowsMost)))
      parts.push(...statements.map(([name, statement]) => sql`${sql.id(name)} as (${statement})`))
      if (rows.length > 0) isLast = false
      else gathered.delete(kind)
    }
    if (parts.length === 0) return undefined
    const together = sql.join(parts)
    if (isLast) return together
    await writing(together).execute(tx)
  }
}

export function hasGathered<R>(tx: Tx, kind: Gathered<R>): boolean {
  return waiting.get(tx)?.has(kind) === true
}
