// Regular expressions that users send as filters run in PostgreSQL, and one can be written that takes it minutes.
// Plain text needs none. What cannot take long (no repetition, no choice) runs as any condition does. The rest has
// little time, in a transaction, and few run at one time.
import { type RawBuilder, sql } from "kysely"
import { createTurns } from "../clock/turns.ts"
import { Fault, invalid } from "../fault/fault.ts"
import { type Db, type DbOrTx, pgErrorCode, transact } from "./database.ts"

export const patternLengthMost = 255
const boundMost = 50
const timeMostMs = 500
/** Of this process; each takes a connection for as long as it runs. */
const atOnce = 2
const waitingMost = 30

const meta = /[.^$*+?{}()|[\]\\]/
/** Repetition, choice, groups, and what a backslash before a letter or digit may mean. */
const costly = /[*+?{}()|]|\\[0-9A-Za-z]/
const bareMeta = /\\[^0-9A-Za-z]/g

/** The condition: text holds the pattern somewhere. Check it with `checkPattern` first. */
export function matchesPattern(text: RawBuilder<unknown>, pattern: string): RawBuilder<boolean> {
  return meta.test(pattern) ? sql`${text} ~ ${pattern}` : sql`position(${pattern} in ${text}) > 0`
}

/** 400 for a pattern that is too long or of the kinds that no time is enough for. */
export function checkPattern(name: string, pattern: string): void {
  const refuse = (why: string) => invalid(name, `Invalid input for query parameter ${name}: ${why}.`)
  if (pattern.length > patternLengthMost)
    throw refuse(`a regular expression has at most ${patternLengthMost} characters`)
  if (/\\[1-9]/.test(pattern.replaceAll("\\\\", "")))
    throw refuse("back references are not supported in a regular expression")
  for (const [bound] of pattern.matchAll(/\{[\d,\s]*\}/g))
    if ((bound.match(/\d+/g) ?? []).some((number) => Number(number) > boundMost))
      throw refuse(`a bound of a regular expression is at most ${boundMost}`)
}

const inTurn = createTurns({
  concurrency: atOnce,
  queueMax: waitingMost,
  refuse: () =>
    new Fault(
      "unavailable",
      "database.patterns_busy",
      "Too many regular expressions at this moment; try again.",
      {
        retryAfterMs: 1_000,
      },
    ),
})

const queryCanceled = "57014"
const patternInvalid = "2201B"

/** Of one filter. */
export type NamedPattern = readonly [name: string, pattern: string]

/** Runs statements with these patterns in their conditions; a pattern that is none or takes too long is 400. */
export async function withPatterns<T>(
  db: Db,
  patterns: readonly NamedPattern[],
  run: (db: DbOrTx) => Promise<T>,
): Promise<T> {
  for (const [name, pattern] of patterns) checkPattern(name, pattern)
  const all = patterns.map(([, pattern]) => pattern)
  try {
    if (!all.some((pattern) => costly.test(pattern.replaceAll(bareMeta, "")))) return await run(db)
    return await inTurn(() =>
      transact(db, async (tx) => {
        await sql`set local statement_timeout = ${sql.lit(timeMostMs)}`.execute(tx)
        return await run(tx)
      }),
    )
  } catch (error) {
    const names = patterns.map(([name]) => name).join(", ")
    const code = pgErrorCode(error)
    if (code === patternInvalid)
      throw invalid(names, `Invalid input for query parameter ${names}: it is not a regular expression.`)
    if (code === queryCanceled && all.length > 0) {
      const message = `Invalid input for query parameter ${names}: the regular expression takes too long.`
      throw invalid(names, message)
    }
    throw error
  }
}
