// Query parameters of lists: filters, fields, sorting, paging.

import type { Ctx } from "../../platform/context/context.ts"
import { type Page, pageUrl } from "../../platform/http/paging.ts"
import { queryAll, queryText } from "../../platform/http/query.ts"
import type { WireRequest } from "../../platform/http/wire.ts"
import type { ListQuery } from "../../platform/noun/list.ts"
import type { Listed } from "../../platform/noun/page.ts"
import type { Attributes } from "./attributes.ts"
import { badRequest } from "./bad-request.ts"

type Query = WireRequest["query"]

export interface NetworkPage extends Page {
  limit: number
  /** Whether the request named one. */
  isLimitAsked: boolean
}

const controls = new Set(["fields", "sort_key", "sort_dir", "limit", "marker", "page_reverse"])

/** Filters that are no attribute: name → key and values of the service's list. */
export type ExtraFilters = Readonly<Record<string, (values: string[]) => Record<string, string[]>>>

export function readList(
  ctx: Ctx,
  query: Query,
  attributes: Attributes<never>,
  extra: ExtraFilters = {},
): Required<Pick<ListQuery, "filters">> & { page: NetworkPage } {
  return { filters: readFilters(query, attributes, extra), page: readNetworkPage(ctx, query, attributes) }
}

function readFilters(
  query: Query,
  attributes: Attributes<never>,
  extra: ExtraFilters,
): Record<string, string[]> {
  const filters: Record<string, string[]> = {}
  const wrong: string[] = []
  for (const asked of Object.keys(query)) {
    if (controls.has(asked)) continue
    const name = asked === "project_id" ? "tenant_id" : asked
    const values = queryAll(query, asked)
    const attribute = Object.hasOwn(attributes, name) ? attributes[name] : undefined
    if (Object.hasOwn(extra, name)) Object.assign(filters, extra[name]?.(values))
    else if (name === "changed_since" && attribute?.filter)
      filters[attribute.filter] = [checkTime(values[0] ?? "")]
    else if (attribute?.filter) {
      const read = attribute.kind.filter
      filters[attribute.filter] = read ? values.map((value) => read(value)) : values
    } else wrong.push(asked)
  }
  if (wrong.length > 0)
    throw badRequest(`[${wrong.map((n) => `'${n}'`).join(", ")}] is invalid attribute for filtering`)
  return filters
}

function checkTime(value: string): string {
  if (Number.isNaN(Date.parse(value)))
    throw badRequest(`Invalid input for operation: The input '${value}' is not a valid time.`, "InvalidInput")
  return value
}

export function readFields(query: Query): ReadonlySet<string> | undefined {
  const fields = queryAll(query, "fields").filter((field) => field !== "")
  return fields.length > 0 ? new Set(fields) : undefined
}

function readNetworkPage(ctx: Ctx, query: Query, attributes: Attributes<never>): NetworkPage {
  const { pageMax } = ctx.config.network
  const limitText = queryText(query, "limit")
  if (limitText !== undefined && !/^\d{1,9}$/.test(limitText))
    throw badRequest(`Limit must be an integer 0 or greater and not '${limitText}'`)
  const asked = Number(limitText ?? 0)
  const keys = queryAll(query, "sort_key")
  const directions = queryAll(query, "sort_dir")
  if (keys.length !== directions.length && directions.length > 0)
    throw badRequest("The number of sort_keys and sort_dirs must be same")
  const sorts = keys.map((name, i) => {
    const attribute = Object.hasOwn(attributes, name)
      ? attributes[name]
      : name === "project_id"
        ? attributes.tenant_id
        : undefined
    if (!attribute?.sort) throw badRequest(`'${name}' is an invalid attribute for sort keys`)
    const direction = directions[i] ?? "asc"
    if (direction !== "asc" && direction !== "desc")
      throw badRequest(`Invalid value for sort_dir '${direction}', valid value is asc or desc`)
    return { key: attribute.key, direction } as const
  })
  return {
    limit: asked === 0 ? pageMax : Math.min(asked, pageMax),
    isLimitAsked: asked !== 0,
    marker: queryText(query, "marker") ?? null,
    sorts,
    isReverse: queryText(query, "page_reverse")?.toLowerCase() === "true",
  }
}

interface Link {
  rel: "next" | "previous"
  href: string
}

/** Also without a limit in the request a page ends somewhere; the stock clients follow `next` by themselves. */
export function pageLinks(
  ctx: Ctx,
  req: Pick<WireRequest, "url">,
  page: NetworkPage,
  { count, firstId, lastId }: Listed<unknown>["read"],
): Link[] {
  const isShort = count < page.limit
  const links: Link[] = []
  if (lastId !== null && (!isShort || page.isReverse))
    links.push({ rel: "next", href: pageLink(ctx, req, { marker: lastId }) })
  const isFirst = !page.isLimitAsked && page.marker === null
  if (!isFirst && !(isShort && page.isReverse)) {
    // Before a page with nothing on it is the last one.
    const before = firstId === null ? {} : { marker: firstId }
    links.push({ rel: "previous", href: pageLink(ctx, req, { ...before, page_reverse: "True" }) })
  }
  return links
}

function pageLink(ctx: Ctx, req: Pick<WireRequest, "url">, parameters: Record<string, string>): string {
  const url = new URL(pageUrl(ctx.baseUrl, req.url, {}))
  for (const name of ["marker", "page_reverse"]) url.searchParams.delete(name)
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value)
  return url.toString()
}

/** `If-Match: revision_number=4` */
export function expectedRevision(req: Pick<WireRequest, "headers">): { expectedRevision?: number } {
  const header = req.headers["if-match"]
  const value = Array.isArray(header) ? header[0] : header
  if (value === undefined) return {}
  const revision = /^\s*"?revision_number=(\d{1,15})"?\s*$/.exec(value)?.[1]
  if (revision === undefined)
    throw badRequest(
      `Invalid input for operation: "If-Match" header must be revision_number=N.`,
      "InvalidInput",
    )
  return { expectedRevision: Number(revision) }
}
