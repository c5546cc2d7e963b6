// What all replies of the placement API share.
import type { Ctx } from "../../platform/context/context.ts"
import { atLeast } from "../../platform/http/microversion.ts"
import { reply, type WireReply, type WireRequest, withHeaders } from "../../platform/http/wire.ts"
import { mediaTypeNotTaken, notAcceptable } from "./faults.ts"

/** Links begin where this API is mounted: below a path, or at the root of a port of its own. */
const mountOf = (req: WireRequest) => /^\/placement(?=\/|\?|$)/.exec(req.url)?.[0] ?? ""

export const providerPath = (req: WireRequest, id: string) => `${mountOf(req)}/resource_providers/${id}`
export const resourceClassPath = (req: WireRequest, name: string) =>
  `${mountOf(req)}/resource_classes/${name}`
export const traitPath = (req: WireRequest, name: string) => `${mountOf(req)}/traits/${name}`

/** A body, or none, with the status that the route says, or one of those; since 1.15 with the time of its newest part (default: now) and no caching. */
export function answer(
  ctx: Ctx,
  req: WireRequest,
  body?: unknown,
  options: { status?: number; location?: string; modifiedAt?: Date | undefined } = {},
): WireReply {
  const { status, location, modifiedAt = ctx.clock.now() } = options
  const headers = {
    ...(location === undefined ? {} : { location: `${ctx.baseUrl}${location}` }),
    ...(atLeast(req.version, "1.15")
      ? { "last-modified": modifiedAt.toUTCString(), "cache-control": "no-cache" }
      : {}),
  }
  return status === undefined ? withHeaders(body, headers) : reply(status, body, headers)
}

export function newest(times: readonly Date[]): Date | undefined {
  return times.length === 0 ? undefined : new Date(Math.max(...times.map((time) => time.getTime())))
}

/** Writing needs JSON, and says so. */
export function requireJson(req: WireRequest): void {
  const given = [req.headers["content-type"]].flat()[0]?.split(";")[0]?.trim().toLowerCase() ?? ""
  if (given !== "application/json") throw mediaTypeNotTaken(given)
}

/** Reading gives JSON; a client that takes only something else is told. */
export function checkAccept(req: WireRequest): void {
  const accept = [req.headers.accept].flat().join(",")
  if (accept === "" || /(^|,)\s*(\*\/\*|application\/(\*|json))\s*(;|,|$)/.test(accept)) return
  throw notAcceptable()
}
