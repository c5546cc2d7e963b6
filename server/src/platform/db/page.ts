// SQL side of keyset paging.
import { type RawBuilder, sql } from "kysely"
import type { Page, SortKey } from "../http/paging.ts"

/**
 * Column expression of each sort key; `isNullable` ones sort nulls first when ascending, as MySQL does for Nova. The
 * others are ordered plainly, as indexes are, so that a page is read from the index and not sorted out of all rows.
 */
export type SortColumns = Readonly<Record<string, { column: RawBuilder<unknown>; isNullable?: boolean }>>

export interface PageClauses {
  /** Conjunct for WHERE; `true` without a marker. */
  where: RawBuilder<boolean>
  orderBy: RawBuilder<unknown>
}

/**
 * WHERE and ORDER BY for a page. `idKey` (unique) ends every order, so that it is total. `markerRow` has the
 * marker's value for each sort key; null without a marker.
 */
export function pageClauses(
  page: Pick<Page, "sorts" | "isReverse">,
  columns: SortColumns,
  idKey: string,
  markerRow: Readonly<Record<string, unknown>> | null,
): PageClauses {
  const sorts: SortKey[] = page.sorts.filter((s, i, all) => all.findIndex((o) => o.key === s.key) === i)
  if (!sorts.some((s) => s.key === idKey)) sorts.push({ key: idKey, direction: sorts[0]?.direction ?? "asc" })
  const terms = sorts.map((s) => {
    const spec = columns[s.key]
    if (!spec) throw new Error(`no column for sort key ${s.key}`)
    return { ...spec, key: s.key, isAscending: (s.direction === "asc") !== page.isReverse }
  })
  const orderBy = sql.join(terms.map(orderOf))
  if (!markerRow) return { where: sql<boolean>`true`, orderBy }
  const values = terms.map((term) => markerRow[term.key] ?? null)
  const isOneWay = terms.every((term) => !term.isNullable && term.isAscending === terms[0]?.isAscending)
  if (isOneWay && !values.includes(null)) {
    const columns = sql.join(terms.map((term) => term.column))
    const beyondAll = terms[0]?.isAscending ? sql`>` : sql`<`
    return { where: sql<boolean>`(${columns}) ${beyondAll} (${sql.join(values)})`, orderBy }
  }
  // (a > x) or (a = x and b > y) or …, null being the smallest value.
  const arms = terms.map((term, i) => {
    const equal = terms
      .slice(0, i)
      .map((t) => sql`${t.column} is not distinct from ${markerRow[t.key] ?? null}`)
    return sql`(${sql.join([...equal, beyond(term, markerRow[term.key] ?? null)], sql` and `)})`
  })
  return { where: sql<boolean>`(${sql.join(arms, sql` or `)})`, orderBy }
}

function orderOf(term: {
  column: RawBuilder<unknown>
  isNullable?: boolean
  isAscending: boolean
}): RawBuilder<unknown> {
  const nulls = !term.isNullable ? sql`` : term.isAscending ? sql` nulls first` : sql` nulls last`
  return sql`${term.column} ${term.isAscending ? sql`asc` : sql`desc`}${nulls}`
}

function beyond(
  term: { column: RawBuilder<unknown>; isNullable?: boolean; isAscending: boolean },
  value: unknown,
): RawBuilder<unknown> {
  if (term.isAscending)
    return value === null ? sql`${term.column} is not null` : sql`${term.column} > ${value}`
  if (value === null) return sql`false`
  return term.isNullable
    ? sql`(${term.column} < ${value} or ${term.column} is null)`
    : sql`${term.column} < ${value}`
}
