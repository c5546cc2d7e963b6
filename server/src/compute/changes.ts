// The filters `changes-since` and `changes-before`. Times are shown, and so asked for, in whole seconds, but kept with
// their fractions: what shows T has changed within the second that begins at T.
import { type RawBuilder, sql } from "kysely"

const secondMs = 1_000

/** Conjuncts on a column with the time of a change; the column stands bare, for its index. */
export function changedBetween(
  column: RawBuilder<unknown>,
  { changesSince, changesBefore }: { changesSince?: Date | undefined; changesBefore?: Date | undefined },
): RawBuilder<boolean>[] {
  const conditions: RawBuilder<boolean>[] = []
  if (changesSince) {
    const from = new Date(Math.ceil(changesSince.getTime() / secondMs) * secondMs)
    conditions.push(sql<boolean>`${column} >= ${from}`)
  }
  if (changesBefore) {
    const end = new Date((Math.floor(changesBefore.getTime() / secondMs) + 1) * secondMs)
    conditions.push(sql<boolean>`${column} < ${end}`)
  }
  return conditions
}
