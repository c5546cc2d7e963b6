// Pages of Glance's lists of tasks and namespaces: limit, marker, one sort_key, sort_dir, the newest first; links to
// the first page and the next.
import type { Ctx } from "../../platform/context/context.ts"
import { type Fault, invalid } from "../../platform/fault/fault.ts"
import type { SortKey } from "../../platform/http/paging.ts"
import { queryText } from "../../platform/http/query.ts"
import type { WireRequest } from "../../platform/http/wire.ts"
import type { Fields } from "../../platform/noun/field.ts"
import { keysOf } from "../../platform/noun/noun.ts"
import type { Listed } from "../../platform/noun/page.ts"

export interface GlancePage {
  limit: number
  marker: string | null
  sorts: SortKey[]
}

export function readGlancePage(ctx: Ctx, req: WireRequest, fields: Fields): GlancePage {
  const { limitDefault, limitMax } = ctx.config.image
  const limitText = queryText(req.query, "limit")
  if (limitText !== undefined && !/^\d+$/.test(limitText))
    throw invalid("limit", "limit param must be an integer that is not negative")
  const keys = keysOf(fields, "sort")
  const name = queryText(req.query, "sort_key") ?? "created_at"
  const key = Object.hasOwn(keys, name) ? keys[name] : undefined
  if (key === undefined)
    throw invalid("sort_key", `Invalid sort key: ${name}. It must be one of ${Object.keys(keys).join(", ")}.`)
  const direction = queryText(req.query, "sort_dir") ?? "desc"
  if (direction !== "asc" && direction !== "desc")
    throw invalid("sort_dir", `Invalid sort direction: ${direction}`)
  return {
    limit: Math.min(limitText === undefined ? limitDefault : Number(limitText), limitMax),
    marker: queryText(req.query, "marker") ?? null,
    sorts: [{ key, direction }],
  }
}

export function badMarker(what: string, marker: string | null): Fault {
  return invalid("marker", `Invalid marker: there is no ${what} ${JSON.stringify(marker)}.`)
}

/** `first`, and `next` where the page was full. */
export function pageLinks(
  req: WireRequest,
  path: string,
  page: GlancePage,
  { count, lastId }: Listed<unknown>["read"],
): { first: string; next?: string } {
  const query = new URLSearchParams(req.url.split("?")[1] ?? "")
  query.delete("marker")
  const address = () => `${path}${query.size > 0 ? `?${query}` : ""}`
  const first = address()
  if (count < page.limit || lastId === null) return { first }
  query.set("marker", lastId)
  return { first, next: address() }
}
