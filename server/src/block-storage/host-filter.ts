// Filters by where data lie, in the words that administrators are shown: `host@backend#pool`, or the beginning of it. A
// back end is one pool, of its own name.
import { type RawBuilder, sql } from "kysely"
import type { Match } from "../platform/noun/field.ts"

const form = /^([^@#]+)(?:@([^#]+)(?:#(.+))?)?$/

/** With one host alone the column stands bare, for its index. */
export const liesAt =
  (host: RawBuilder<unknown>, backend: RawBuilder<unknown>): Match =>
  (asked) => {
    const places = asked.flatMap((text) => {
      const [, atHost, atBackend, pool = atBackend] = form.exec(text) ?? []
      if (atHost === undefined || pool !== atBackend) return []
      const isThere = sql<boolean>`${host} = ${atHost}`
      return [atBackend === undefined ? isThere : sql<boolean>`(${isThere} and ${backend} = ${atBackend})`]
    })
    if (places.length === 0) return sql<boolean>`false`
    return places.length === 1 && places[0] ? places[0] : sql<boolean>`(${sql.join(places, sql` or `)})`
  }
