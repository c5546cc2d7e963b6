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
  defaultSorts: readonly SortKey[]
  /** A larger limit is cut to this. */
  limitMax: number
  defaultDirection?: "asc" | "desc"
}

/** How long a page may be: a list that nobody bounded is bounded too, and its page has a link to the next. */
export function boundedLimit(asked: number | null | undefined, most: number): number {
  return asked === null || asked === undefined || asked === 0 ? most : Math.min(asked, most)
}

/** Reads limit, marker, sort_key/sort_dir (repeatable) or `sort=key:dir,key`. */
export function readPage(query: WireRequest["query"], rules: PageRules): Page {
  const limit = queryInteger(query, "limit", { min: 0 })
  const sorts = readSorts(query, rules)
  return {
    limit: limit === undefined ? null : Math.min(limit, rules.limitMax),
    marker: queryText(query, "marker") ?? null,
    sorts: sorts.length > 0 ? sorts : [...rules.defaultSorts],
    isReverse: false,
  }
}

function readSorts(query: WireRequest["query"], rules: PageRules): SortKey[] {
  const fallback = rules.defaultDirection ?? "desc"
  const combined = queryText(query, "sort")
  const pairs: [string, string | undefined][] = combined
    ? combined.split(",").map((part) => {
        const [key = "", direction] = part.split(":")
        return [key, direction]
      })
    : queryAll(query, "sort_key").map((key, i) => [key, queryAll(query, "sort_dir")[i]])
  return pairs.map(([name, direction]) => {
    const key = Object.hasOwn(rules.sortKeys, name) ? rules.sortKeys[name] : undefined
    if (!key) {
      throw invalid(
        "sort_key",
        `Invalid sort key ${JSON.stringify(name)}; use one of ${Object.keys(rules.sortKeys).join(", ")}.`,
      )
    }
    const dir = (direction ?? fallback).toLowerCase()
    if (dir !== "asc" && dir !== "desc") {
      throw invalid("sort_dir", `Invalid sort direction ${JSON.stringify(direction)}; use asc or desc.`)
    }
    return { key, direction: dir }
  })
}

/** The address of the next (or previous) page: the request's own, with another marker. */
export function pageUrl(baseUrl: string, url: string, changes: Record<string, string>): string {
  // Put together and not resolved: the base may have a path of its own.
  const full = new URL(`${baseUrl}${url}`)
  for (const [name, value] of Object.entries(changes)) full.searchParams.set(name, value)
  return full.toString()
}
