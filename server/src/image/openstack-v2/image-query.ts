// The query of GET /v2/images: Glance's filter operators and both of its ways to say an order.

import { invalid } from "../../platform/fault/fault.ts"
import type { SortKey } from "../../platform/http/paging.ts"
import { queryAll, queryText } from "../../platform/http/query.ts"
import type { WireRequest } from "../../platform/http/wire.ts"
import { type ImageFilter, type ImageListInput, imageSortKeys } from "../index.ts"

type Query = WireRequest["query"]

const ownParameters = new Set([
  "limit",
  "marker",
  "member_status",
  "tag",
  "sort",
  "sort_key",
  "sort_dir",
  "visibility",
  "os_hidden",
  "protected",
])
const visibilityWords = ["community", "public", "private", "shared", "all"] as const
const memberWords = ["pending", "accepted", "rejected", "all"] as const

export function readImageQuery(
  query: Query,
  limits: { limitDefault: number; limitMax: number },
): ImageListInput {
  const visibility = queryText(query, "visibility")
  return {
    filters: readFilters(query),
    visibility: visibility
      ? oneOf(visibility, visibilityWords, "visibility", "Invalid visibility value")
      : null,
    memberStatus: oneOf(
      queryText(query, "member_status") ?? "accepted",
      memberWords,
      "member_status",
      "Invalid status",
    ),
    isHidden: readFlag(query, "os_hidden") ?? false,
    isProtected: readFlag(query, "protected") ?? null,
    tags: queryAll(query, "tag").map((tag) => tag.trim()),
    limit: Math.min(readLimit(query) ?? limits.limitDefault, limits.limitMax),
    marker: queryText(query, "marker") ?? null,
    sorts: readSorts(query),
  }
}

function oneOf<T extends string>(value: string, words: readonly T[], field: string, what: string): T {
  const found = words.find((word) => word === value)
  if (!found) throw invalid(field, `${what}: ${value}. Use one of ${words.join(", ")}.`)
  return found
}

function readFlag(query: Query, name: string): boolean | undefined {
  const text = queryText(query, name)
  if (text === undefined) return undefined
  const word = name === "os_hidden" ? text.toLowerCase() : text
  if (word === "true" || word === "false") return word === "true"
  throw invalid(name, `Invalid value '${text}' for '${name}' filter. Valid values are 'true' or 'false'.`)
}

function readLimit(query: Query): number | undefined {
  const text = queryText(query, "limit")
  if (text === undefined) return undefined
  const limit = Number(text)
  if (!/^\s*[+-]?\d+\s*$/.test(text) || !Number.isSafeInteger(limit))
    throw invalid("limit", "limit param must be an integer")
  if (limit < 0) throw invalid("limit", "limit param must be positive")
  return limit
}

const operators = ["eq", "neq", "gt", "gte", "lt", "lte"] as const
const listFilters = new Set(["name", "id", "status", "container_format", "disk_format"])
const timeFilters = new Set(["created_at", "updated_at"])

function readFilters(query: Query): ImageFilter[] {
  const filters: ImageFilter[] = []
  for (const name of Object.keys(query)) {
    if (ownParameters.has(name)) continue
    if (name === "changes-since")
      throw invalid(name, 'The "changes-since" filter is no longer available on v2.')
    filters.push(readFilter(name, queryText(query, name) ?? ""))
  }
  return filters
}

function readFilter(name: string, value: string): ImageFilter {
  const colon = value.indexOf(":")
  const [before, after] = colon < 0 ? ["eq", value] : [value.slice(0, colon), value.slice(colon + 1)]
  if (timeFilters.has(name)) {
    // A time has colons itself: `2015-10-15T12:00:00` has no operator.
    const op = operators.find((o) => o === before)
    if (op && colon >= 0) return { name, op, values: [after] }
    if (/^\d/.test(value)) return { name, op: "eq", values: [value] }
    throw invalid(name, "Unable to filter on a unknown operator.")
  }
  if (!listFilters.has(name)) return { name, op: "eq", values: [value] }
  if (before === "in" && colon >= 0) return { name, op: "in", values: splitList(after) }
  if (before === "eq") return { name, op: "eq", values: [after] }
  throw invalid(name, `Unable to filter by unknown operator '${before}'.`)
}

/** Values apart by commas; one with a comma stands in double quotes, in which `\"` is a quote. */
export function splitList(text: string): string[] {
  const values: string[] = []
  let at = 0
  while (at < text.length) {
    if (text[at] === '"') {
      const match = /^"((?:[^"\\]|\\.)*)"/.exec(text.slice(at))
      if (!match) throw invalid("in", `Invalid filter value ${text}. The quote is not closed.`)
      values.push(match[1] ?? "")
      at += match[0].length
      if (at < text.length && text[at] !== ",")
        throw invalid("in", `Invalid filter value ${text}. There is no comma after closing quotation mark.`)
      at++
      continue
    }
    const end = text.indexOf(",", at)
    const value = text.slice(at, end < 0 ? undefined : end)
    if (/(^|[^\\])"/.test(value))
      throw invalid("in", `Invalid filter value ${text}. There is no comma before opening quotation mark.`)
    values.push(value)
    at = end < 0 ? text.length : end + 1
  }
  return values
}

function readSorts(query: Query): SortKey[] {
  const combined = queryText(query, "sort")
  const keys = queryAll(query, "sort_key").map((key) => readKey(key.trim()))
  const directions = queryAll(query, "sort_dir").map((dir) => readDirection(dir.trim()))
  if (combined !== undefined) {
    if (keys.length > 0 || directions.length > 0)
      throw invalid("sort", "Old and new sorting syntax cannot be combined")
    return combined.split(",").map((part) => {
      const [key = "", direction = "desc"] = part.split(":")
      return { key: readKey(key.trim()), direction: readDirection(direction.trim() || "desc") }
    })
  }
  if (directions.length > 1 && directions.length !== keys.length)
    throw invalid("sort_dir", "Number of sort dirs does not match the number of sort keys")
  const chosen = keys.length > 0 ? keys : ["created_at"]
  return chosen.map((key, i) => ({ key, direction: directions[i] ?? directions[0] ?? "desc" }))
}

function readKey(key: string): string {
  if (imageSortKeys.includes(key)) return key
  throw invalid(
    "sort_key",
    `Invalid sort key: ${key}. It must be one of the following: ${imageSortKeys.join(", ")}.`,
  )
}

function readDirection(direction: string): SortKey["direction"] {
  if (direction === "asc" || direction === "desc") return direction
  throw invalid("sort_dir", `Invalid sort direction: ${direction}`)
}
