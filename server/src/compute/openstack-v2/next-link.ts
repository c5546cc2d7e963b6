import type { Ctx } from "../../platform/context/context.ts"
import { boundedLimit, pageUrl } from "../../platform/http/paging.ts"
import { queryInteger, queryText } from "../../platform/http/query.ts"
import type { WireRequest } from "../../platform/http/wire.ts"

/** Limit and marker; where lists have no pages yet, the first of them. */
export function readMarked(ctx: Ctx, { query }: WireRequest, isPaged: boolean) {
  const asked = isPaged ? queryInteger(query, "limit", { min: 0 }) : undefined
  const limit = boundedLimit(asked, ctx.config.compute.listLimitMost)
  return { limit, marker: isPaged ? (queryText(query, "marker") ?? null) : null }
}

/** `<noun>_links` of a page after which there is more: the marker is the last thing on it. */
export function nextLink(ctx: Ctx, req: WireRequest, noun: string, marker: string | null | undefined) {
  if (marker === null || marker === undefined) return {}
  return { [`${noun}_links`]: [{ rel: "next", href: pageUrl(ctx.baseUrl, req.url, { marker }) }] }
}
