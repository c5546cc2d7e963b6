// Statements that run often are prepared once a connection, by a name, so that PostgreSQL does not plan them again each
// time. For the short statements of a cloud planning is half of the cost or more: a page of 50 servers took 1.8 ms
// instead of 3.1 ms of PostgreSQL's time.
//
// A name is given after some runs and kept. There are only so many: each costs PostgreSQL some 40 kB in every
// connection that uses it. Texts that vary without end (a list's filters, values of many rows) run without a name
// once the names are used up, which is only slower. After five runs PostgreSQL itself decides whether a plan for any
// values is as good as one for these values; it makes plans anew when a table's statistics change.
import type { PostgresPool, PostgresPoolClient } from "kysely"
import pg from "pg"

/** How often a text runs before it gets a name. */
const runsBeforeName = 8
/** Names of a process; the program has some hundreds of statements, and a few dozen are hot. */
const namesMost = 128
/** Texts that are counted; the one counted longest ago is forgotten. */
const countedMost = 512

/** Gives names to the texts of one pool. */
class Names {
  readonly #names = new Map<string, string>()
  readonly #runs = new Map<string, number>()
  #epoch = 0

  nameOf(text: string): string | undefined {
    const name = this.#names.get(text)
    if (name !== undefined) return name
    if (this.#names.size >= namesMost) return undefined
    const runs = (this.#runs.get(text) ?? 0) + 1
    // Deleted first, so that the order of the map is that of the last runs.
    this.#runs.delete(text)
    if (runs < runsBeforeName) {
      this.#runs.set(text, runs)
      for (const oldest of this.#runs.keys()) {
        if (this.#runs.size <= countedMost) break
        this.#runs.delete(oldest)
      }
      return undefined
    }
    const given = `s${this.#epoch}_${this.#names.size}`
    this.#names.set(text, given)
    return given
  }

  /** What was prepared does not fit the tables any more: all get other names. */
  forget(): void {
    this.#epoch += 1
    this.#names.clear()
  }
}

/** Another process's migration added a column, and the statement says `*`. */
export function isOutdatedPlan(error: unknown): boolean {
  return (
    error instanceof pg.DatabaseError &&
    error.code === "0A000" &&
    error.message.startsWith("cached plan must not change result type")
  )
}

/** Begin, commit, savepoints, settings are not. */
const isPlanned = /^\s*(?:select|insert|update|delete|with)\b/i

type Query = (text: string, values: readonly unknown[]) => Promise<unknown>

/** At the end of a statement: nobody needs its answer before that of the next one, which a transaction always has. */
export const unawaited = "/* unawaited */"

const isBegin = /^(?:begin|start transaction)\b/
const isRollback = /^rollback$/
const isRead = /^\s*select\b/i
const noAnswer = { command: "", rowCount: null, rows: [], fields: [] }

/**
 * The beginning of a transaction, and what is marked so, is sent and not waited for: one way to the database and back
 * less for each. The next statement waits for both and fails as the first of them did; PostgreSQL does not commit a
 * transaction in which one has failed.
 *
 * A beginning that fails (it was cancelled) leaves no transaction: what comes behind it would be written by itself. So
 * only what reads is sent with it; all else is sent when the transaction has begun.
 */
function pipeliningQuery(query: Query): Query {
  let begun: Promise<unknown> | undefined
  let before: Promise<unknown> | undefined
  return async (text, values) => {
    if (isRollback.test(text)) {
      begun = undefined
      before = undefined
      return await query(text, values)
    }
    if (begun !== undefined && !isRead.test(text)) await begun
    const sent = query(text, values)
    const both = before === undefined ? sent : Promise.all([before, sent]).then(([, result]) => result)
    before = undefined
    const begins = isBegin.test(text)
    if (begins) begun = sent
    else if (text === "commit") begun = undefined
    if (!begins && !text.endsWith(unawaited)) return await both
    both.catch(() => {})
    before = both
    return noAnswer
  }
}

function namingQuery(client: pg.PoolClient, names: Names): Query {
  return async (text, values) => {
    const name = isPlanned.test(text) ? names.nameOf(text) : undefined
    const parameters = values as unknown[]
    if (name === undefined) return await client.query(text, parameters)
    try {
      return await client.query({ name, text, values: parameters })
    } catch (error) {
      if (!isOutdatedPlan(error)) throw error
      names.forget()
      // Behind one that is not waited for the transaction may have ended: here it would be written outside of any.
      if (text.endsWith(unawaited)) throw error
      // Within a transaction this fails too, for that is over; then `transact` begins it again.
      return await client.query(text, parameters).catch(() => {
        throw error
      })
    }
  }
}

/** The pool as Kysely sees it. */
export function withNamedStatements(pool: pg.Pool): PostgresPool {
  const names = new Names()
  const known = new WeakMap<pg.PoolClient, PostgresPoolClient>()
  return {
    options: pool.options,
    async connect() {
      const client = await pool.connect()
      let naming = known.get(client)
      if (!naming) {
        naming = {
          // Kysely's other form is for cursors, which it has not been given.
          query: pipeliningQuery(namingQuery(client, names)) as PostgresPoolClient["query"],
          release: (isBroken) => client.release(isBroken),
        }
        known.set(client, naming)
      }
      return naming
    },
    end: () => pool.end(),
  }
}
