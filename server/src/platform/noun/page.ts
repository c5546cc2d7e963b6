// Pages of lists: what of a list somebody gets, and what it was read as.
import type { DbOrTx } from "../db/database.ts"
import type { Fields, ThingOf } from "./field.ts"
import { type Besides, type ListQuery, listThings } from "./list.ts"
import type { Noun } from "./noun.ts"

/** A page for a caller. */
export interface Listed<T> {
  items: T[]
  /** The page as it was read, before rules took something out of it: what is next begins after its last row. */
  read: {
    count: number
    firstId: string | null
    lastId: string | null
    /** Absent where nobody looked: then a full page may have something after it. */
    hasMore?: boolean
  }
}

/** Leaves out what `mayList` refuses. */
export function listed<T>(rows: T[], idOf: (item: T) => string, mayList: (item: T) => boolean): Listed<T> {
  return { items: rows.filter(mayList), read: extentOf(rows, idOf) }
}

function extentOf<T>(rows: readonly T[], idOf: (item: T) => string): Listed<T>["read"] {
  const [first, last] = [rows[0], rows.at(-1)]
  return {
    count: rows.length,
    firstId: first === undefined ? null : idOf(first),
    lastId: last === undefined ? null : idOf(last),
  }
}

/**
 * A page with what it was read as. `most`: it has no more than that, however many are asked for, and whether something
 * follows is found out by one row more.
 */
export async function listPage<F extends Fields, V>(
  db: DbOrTx,
  of: Noun<F, V>,
  viewer: V,
  query: ListQuery & Besides,
  most?: number,
): Promise<Listed<ThingOf<F>>> {
  const { page = {} } = query
  const idOf = (thing: ThingOf<F>) => String(thing[(of.key ?? "id") as keyof ThingOf<F>])
  if (most === undefined) {
    const items = await listThings(db, of, viewer, query)
    return { items, read: extentOf(items, idOf) }
  }
  const limit = Math.min(page.limit ?? most, most)
  const rows = await listThings(db, of, viewer, { ...query, page: { ...page, limit: limit + 1 } })
  const items = page.isReverse ? rows.slice(Math.max(rows.length - limit, 0)) : rows.slice(0, limit)
  return { items, read: { ...extentOf(items, idOf), hasMore: rows.length > limit } }
}
