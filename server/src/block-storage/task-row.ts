// Rows that one task at a time holds, by a generation that every claim raises. Each change is one compare-and-set:
// whoever lost the row to a later task changes nothing more.
import { sql } from "kysely"
import type { DbOrTx, Tx } from "../platform/db/database.ts"
import type { Fault } from "../platform/fault/fault.ts"
import type { Fields, ThingOf } from "../platform/noun/field.ts"
import { findThing } from "../platform/noun/list.ts"
import { fieldsOf, type Noun } from "../platform/noun/noun.ts"
import { everything, type Viewer } from "./viewer.ts"

/** A task's word on the row that it holds. */
export interface Hold {
  generation: number
}

export interface TaskRowsOptions<F extends Fields, T extends Hold, C> {
  noun: Noun<F, Viewer>
  /** Of the row that the task holds. */
  idOf: (task: T) => string
  /** Columns of a change; undefined ones stay. */
  columns: (changes: C) => Readonly<Record<string, unknown>>
  superseded: (id: string) => Fault
}

/** The statements that such a noun's store is made of. */
export function taskRows<F extends Fields, T extends Hold, C>({
  noun,
  idOf,
  columns,
  superseded,
}: TaskRowsOptions<F, T, C>) {
  const table = sql`${noun.table} as ${sql.ref(noun.alias)}`
  const selection = sql.join([...fieldsOf(noun, everything)])
  const [idColumn, generation, status] = ["id", "generation", "status"].map((column) =>
    sql.ref(`${noun.alias}.${column}`),
  )
  const isHeld = (task: T) => sql`${idColumn} = ${idOf(task)} and ${generation} = ${task.generation}`

  const select = (db: DbOrTx, id: string) => findThing(db, noun, everything, id)

  /** The row, held until the transaction ends. */
  async function lock(tx: Tx, id: string): Promise<ThingOf<F> | undefined> {
    const found = sql<ThingOf<F>>`select ${selection} from ${table} where ${idColumn} = ${id} for update`
    return (await found.execute(tx)).rows[0]
  }

  /** The row as long as this task holds it. */
  async function held({ db }: { db: DbOrTx }, task: T): Promise<ThingOf<F>> {
    const id = idOf(task)
    const thing = await select(db, id)
    if (!thing || !("generation" in thing) || thing.generation !== task.generation) throw superseded(id)
    return thing
  }

  /** Takes it for a task: only from these statuses, with a new generation. Undefined: it is in none of them. */
  async function take(
    tx: Tx,
    id: string,
    from: readonly string[],
    to: string,
  ): Promise<ThingOf<F> | undefined> {
    const taken = sql<ThingOf<F>>`update ${table}
      set status = ${to}, generation = ${generation} + 1, updated_at = now()
      where ${idColumn} = ${id} and ${status} = any(${from}) returning ${selection}`
    return (await taken.execute(tx)).rows[0]
  }

  /** A step of the task that holds it; undefined when another task has taken it since. */
  async function change(tx: Tx, task: T, changes: C): Promise<ThingOf<F> | undefined> {
    const set = Object.entries({ ...columns(changes), updated_at: sql`now()` })
      .filter(([, value]) => value !== undefined)
      .map(([column, value]) => sql`${sql.ref(column)} = ${value}`)
    const changed = sql<ThingOf<F>>`update ${table} set ${sql.join(set)}
      where ${isHeld(task)} returning ${selection}`
    return (await changed.execute(tx)).rows[0]
  }

  /** As `change`; throws when another task has it now. */
  async function advance(tx: Tx, task: T, changes: C): Promise<ThingOf<F>> {
    const thing = await change(tx, task, changes)
    if (!thing) throw superseded(idOf(task))
    return thing
  }

  /** Throws when another task has it now: what it has is that one's to give back. */
  async function remove(tx: Tx, task: T): Promise<void> {
    const { numAffectedRows } = await sql`delete from ${table} where ${isHeld(task)}`.execute(tx)
    if (numAffectedRows === 0n) throw superseded(idOf(task))
  }

  return { select, lock, held, take, change, advance, remove }
}
