// What every answer of this wire shares: links, lists, time texts.
import type { Ctx } from "../../../platform/context/context.ts"
import type { WireRequest } from "../../../platform/http/wire.ts"
import { v3Url } from "./discovery.ts"

export interface Rows<T> {
  rows: readonly T[]
  isTruncated?: boolean
}

/** `{<name>: [...], links: {self, previous, next}}` */
export function listReply(
  ctx: Ctx,
  req: WireRequest,
  name: string,
  rows: readonly unknown[],
  isTruncated = false,
): Record<string, unknown> {
  return {
    links: { next: null, self: selfUrl(ctx, req), previous: null },
    [name]: rows,
    ...(isTruncated ? { truncated: true } : {}),
  }
}

/** The request's own address. */
export function selfUrl(ctx: Ctx, req: WireRequest): string {
  return `${ctx.baseUrl}${req.url}`
}

export function linkTo(ctx: Ctx, req: WireRequest, path: string): { self: string } {
  return { self: `${v3Url(ctx, req.url)}/${path}` }
}
