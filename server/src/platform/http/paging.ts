// Lists are paged by keyset: the marker names a row, and what follows it in the asked order is next.
import { invalid } from "../fault/fault.ts"
import { queryAll, queryInteger, queryText } from "./query.ts"
import type { WireRequest } from "./wire.ts"

export interface SortKey {
  /** Name of the key as the service's list function knows it. */
  key: string
  direction: "asc" | "desc"
}

export interface Page {
  /** Rows at the most; null for the service's bound. */
  limit: number | null
  marker: string | null
  sorts: SortKey[]
  isReverse: boolean
}

export interface PageRules {
  /** Wire name → key of the list function. */
  sortKeys: Readonly<Record<string, string>>
  /** Where no key is asked for; empty: the order that the noun says. */
  defaultSorts: readonly SortKey[]
  /** Of keys that come without any direction: APIs differ. */
  defaultDirection: SortKey["direction"]
  /** A larger limit is cut to this. */
  limitMax: number
}

/** How long a page may be: a list that nobody bounded is bounded too, and its page has a link to the next. */
export function boundedLimit(asked: number | null | undefined, most: number): number {
  return asked === null || asked === undefined || asked === 0 ? most : Math.min(asked, most)
}

/** Reads limit, marker, sort_key/sort_dir (repeatable) or `sort=key:dir,key`. */
export function readPage(query: WireRequest["query"], rules: PageRules): Page {
  const limit = queryInteger(query, "limit", { min: 0 })
  return {
    limit: limit === undefined ? null : Math.min(limit, rules.limitMax),
    marker: queryText(query, "marker") ?? null,
    sorts: readSorts(query, rules),
    isReverse: false,
  }
}

function readSorts(query: WireRequest["query"], rules: PageRules): SortKey[] {
  const { names, directions } = askedSorts(query)
  // As Nova has it: the first direction is that of the keys that have none.
  const fallback = directions[0] ?? rules.defaultDirection
  const sorts = names.map((name, i) => ({ key: keyOf(name, rules), direction: directions[i] ?? fallback }))
  if (sorts.length > 0) return sorts
  return rules.defaultSorts.map(({ key, direction }) => ({ key, direction: directions[0] ?? direction }))
}

/** As they are written; one `sort` says both of each key. */
function askedSorts(query: WireRequest["query"]) {
  const combined = queryText(query, "sort")
  const pairs = combined ? combined.split(",").map((part) => part.split(":")) : undefined
  const names = pairs?.map(([name = ""]) => name) ?? queryAll(query, "sort_key")
  const directions = pairs?.map(([, direction]) => direction) ?? queryAll(query, "sort_dir")
  return { names, directions: directions.map((text) => (text === undefined ? text : readDirection(text))) }
}

function readDirection(text: string): SortKey["direction"] {
  const direction = text.toLowerCase()
  if (direction === "asc" || direction === "desc") return direction
  throw invalid("sort_dir", `Invalid sort direction ${JSON.stringify(text)}; use asc or desc.`)
}

function keyOf(name: string, { sortKeys }: PageRules): string {
  const key = Object.hasOwn(sortKeys, name) ? sortKeys[name] : undefined
  if (key !== undefined) return key
  throw invalid(
    "sort_key",
    `Invalid sort key ${JSON.stringify(name)}; use one of ${Object.keys(sortKeys).join(", ")}.`,
  )
}

/** The address of the next (or previous) page: the request's own, with another marker. */
export function pageUrl(baseUrl: string, url: string, changes: Record<string, string>): string {
  // Put together and not resolved: the base may have a path of its own.
  const full = new URL(`${baseUrl}${url}`)
  for (const [name, value] of Object.entries(changes)) full.searchParams.set(name, value)
  return full.toString()
}
