// What every answer of this wire shares: links and lists.

import type { Ctx } from "../../platform/context/context.ts"
import { pageUrl } from "../../platform/http/paging.ts"
import { queryText } from "../../platform/http/query.ts"
import type { WireRequest } from "../../platform/http/wire.ts"
import type { Listed } from "../../platform/noun/page.ts"
import { v3Url } from "./discovery.ts"

/** `{<name>: [...], links: {self, previous, next}}` */
export function listReply<T>(
  ctx: Ctx,
  req: WireRequest,
  name: string,
  rows: readonly T[],
  view: (ctx: Ctx, req: WireRequest, row: T) => unknown,
): Record<string, unknown> {
  const links = { next: null, self: selfUrl(ctx, req), previous: null }
  return { links, [name]: rows.map((row) => view(ctx, req, row)) }
}

/** A list that may be cut: at the client's limit with a link to what follows, at ours with `truncated`. */
export function pageReply<T>(
  ctx: Ctx,
  req: WireRequest,
  name: string,
  list: Listed<T>,
  view: (ctx: Ctx, req: WireRequest, row: T) => unknown,
): Record<string, unknown> {
  const reply = listReply(ctx, req, name, list.items, view)
  const { hasMore, lastId } = list.read
  if (!hasMore || lastId === null) return reply
  if (queryText(req.query, "limit") === undefined) return { ...reply, truncated: true }
  const next = pageUrl(ctx.baseUrl, req.url, { marker: lastId })
  return { ...reply, links: { next, self: selfUrl(ctx, req), previous: null } }
}

/** The request's own address. */
export function selfUrl(ctx: Ctx, req: WireRequest): string {
  return `${ctx.baseUrl}${req.url}`
}

export function linkTo(ctx: Ctx, req: WireRequest, path: string): { self: string } {
  return { self: `${v3Url(ctx, req.url)}/${path}` }
}
