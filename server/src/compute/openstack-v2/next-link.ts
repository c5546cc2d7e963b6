import type { Ctx } from "../../platform/context/context.ts"
import { pageUrl } from "../../platform/http/paging.ts"
import type { WireRequest } from "../../platform/http/wire.ts"

/** `<noun>_links` of a page after which there is more: the marker is the last thing on it. */
export function nextLink(ctx: Ctx, req: WireRequest, noun: string, marker: string | null | undefined) {
  if (marker === null || marker === undefined) return {}
  return { [`${noun}_links`]: [{ rel: "next", href: pageUrl(ctx.baseUrl, req.url, { marker }) }] }
}
