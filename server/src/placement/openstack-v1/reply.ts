// What all replies of the placement API share.
import { count } from "../../api/openstack/shape.ts"
import type { Table } from "../../api/openstack/view.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { atLeast } from "../../platform/http/microversion.ts"
import {
  isWireReply,
  type Route,
  reply,
  type WireReply,
  type WireRequest,
  withHeaders,
} from "../../platform/http/wire.ts"
import { mediaTypeNotTaken, notAcceptable } from "./faults.ts"

/** Links begin where this API is mounted: below a path, or at the root of a port of its own. */
const mountOf = (req: Pick<WireRequest, "url">) => /^\/placement(?=\/|\?|$)/.exec(req.url)?.[0] ?? ""

export const providerPath = (req: Pick<WireRequest, "url">, id: string) =>
  `${mountOf(req)}/resource_providers/${id}`
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
function requireJson(req: WireRequest): void {
  const given = [req.headers["content-type"]].flat()[0]?.split(";")[0]?.trim().toLowerCase() ?? ""
  if (given !== "application/json") throw mediaTypeNotTaken(given)
}

/** Answers about something of a provider say its generation. */
export interface Provided {
  provider: { generation: number }
}
export const generation: Table<Provided> = {
  resource_provider_generation: [count, ({ provider }) => provider.generation],
}

/** Reading gives JSON; a client that takes only something else is told. */
function checkAccept(req: WireRequest): void {
  const accept = [req.headers.accept].flat().join(",")
  if (accept === "" || /(^|,)\s*(\*\/\*|application\/(\*|json))\s*(;|,|$)/.test(accept)) return
  throw notAcceptable()
}

/** Checks what clients take and send, before the handler looks at the rest, and makes the reply of what it gives. */
export function inJson(route: Route): Route {
  const { method, told, body, handler } = route
  const check = body ? requireJson : method === "GET" && told ? checkAccept : () => {}
  return {
    ...route,
    handler: async (ctx, req) => {
      check(req)
      const given = await handler(ctx, req)
      return given === undefined || isWireReply(given) ? given : answer(ctx, req, given)
    },
  }
}
