// Query parameters of lists: filters, fields, sorting, paging.
import type { ListQuery } from "../../../network/index.ts"
import type { Ctx } from "../../../platform/context/context.ts"
import { type Page, pageUrl } from "../../../platform/http/paging.ts"
import { queryAll, queryText } from "../../../platform/http/query.ts"
import type { WireRequest } from "../../../platform/http/wire.ts"
import { type Attributes, badRequest, keyOf } from "./attributes.ts"

type Query = WireRequest["query"]

const controls = new Set(["fields", "sort_key", "sort_dir", "limit", "marker", "page_reverse"])
const tagFilters: Readonly<Record<string, string>> = {
  tags: "tags",
  "tags-any": "tagsAny",
  "not-tags": "notTags",
  "not-tags-any": "notTagsAny",
}

/** Filters that are no attribute: name → key and values of the service's list. */
export type ExtraFilters = Readonly<Record<string, (values: string[]) => Record<string, string[]>>>

export function readList(
  ctx: Ctx,
  query: Query,
  attributes: Attributes,
  extra: ExtraFilters = {},
): Required<Pick<ListQuery, "filters">> & { page: Page } {
  return { filters: readFilters(query, attributes, extra), page: readNetworkPage(ctx, query, attributes) }
}

function readFilters(query: Query, attributes: Attributes, extra: ExtraFilters): Record<string, string[]> {
  const filters: Record<string, string[]> = {}
  const wrong: string[] = []
  for (const asked of Object.keys(query)) {
    if (controls.has(asked)) continue
    const name = asked === "project_id" ? "tenant_id" : asked
    const values = queryAll(query, asked)
    const attribute = Object.hasOwn(attributes, name) ? attributes[name] : undefined
    const tagKey =
      Object.hasOwn(attributes, "tags") && Object.hasOwn(tagFilters, name) ? tagFilters[name] : undefined
    if (Object.hasOwn(extra, name)) Object.assign(filters, extra[name]?.(values))
    else if (tagKey) filters[tagKey] = values
    else if (name === "changed_since") filters.changedSince = [checkTime(values[0] ?? "")]
    else if (attribute?.filter) {
      const read = attribute.kind.filter
      filters[keyOf(name, attribute)] = read ? values.map((value) => read(value)) : values
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

function readNetworkPage(ctx: Ctx, query: Query, attributes: Attributes): Page {
  const { pageMax } = ctx.config.network
  const limitText = queryText(query, "limit")
  if (limitText !== undefined && !/^\d{1,9}$/.test(limitText))
    throw badRequest(`Limit must be an integer 0 or greater and not '${limitText}'`)
  const limit =
    limitText === undefined || Number(limitText) === 0 ? null : Math.min(Number(limitText), pageMax)
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
    return { key: keyOf(name, attribute), direction } as const
  })
  return {
    limit,
    marker: queryText(query, "marker") ?? null,
    sorts,
    isReverse: limit !== null && queryText(query, "page_reverse")?.toLowerCase() === "true",
  }
}

interface Link {
  rel: "next" | "previous"
  href: string
}

export function pageLinks(
  ctx: Ctx,
  req: Pick<WireRequest, "url">,
  page: Page,
  items: readonly { id: string }[],
): Link[] {
  if (page.limit === null) return []
  const isShort = items.length < page.limit
  const links: Link[] = []
  const first = items[0]
  const last = items.at(-1)
  if (last && (!isShort || page.isReverse))
    links.push({ rel: "next", href: withoutReverse(pageUrl(ctx.baseUrl, req.url, { marker: last.id })) })
  if (first && !(isShort && page.isReverse)) {
    links.push({
      rel: "previous",
      href: pageUrl(ctx.baseUrl, req.url, { marker: first.id, page_reverse: "True" }),
    })
  }
  return links
}

function withoutReverse(href: string): string {
  const url = new URL(href)
  url.searchParams.delete("page_reverse")
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
