// `availability_zone` of a request: a zone, or `zone:host[:node]` of an administrator.
import type { Ctx } from "../../platform/context/context.ts"
import { badRequest } from "../faults.ts"
import { zoneOf } from "./host.ts"
import { selectHosts } from "./store.ts"

export interface ZoneRequest {
  zone: string | null
  host: string | null
}

export function parseZone(text: string | null): ZoneRequest {
  if (text === null || !text.includes(":")) return { zone: text === "" ? null : text, host: null }
  const parts = text.split(":")
  if (parts.length > 3) throw badRequest("Unable to parse availability_zone")
  const [zone, host, node] = parts
  return { zone: zone || null, host: host || node || null }
}

/** A zone with no host, or a host that there is not, is refused with 400. */
export async function checkZone(ctx: Ctx, request: ZoneRequest, requestedHost: string | null): Promise<void> {
  if (request.zone === null && request.host === null && requestedHost === null) return
  const hosts = await selectHosts(ctx.db)
  const host = request.host ?? requestedHost
  if (host !== null && !hosts.some((h) => h.name === host))
    throw badRequest(`Compute host ${host} could not be found.`)
  // A forced host decides by itself; the zone beside it only says where one believes it to be.
  if (host !== null || request.zone === null) return
  if (!hosts.some((h) => !h.isDisabled && zoneOf(ctx, h) === request.zone))
    throw badRequest("The requested availability zone is not available")
}
