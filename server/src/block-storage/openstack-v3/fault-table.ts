// Cinder's error shape: {"itemNotFound": {"code": 404, "message": …}}.
import { faultTable } from "../../api/openstack/fault-table.ts"
import type { Fault } from "../../platform/fault/fault.ts"
import { methodNotAllowed } from "../../platform/http/faults.ts"
import { type QuotaShortage, quotaExceeded } from "../../quota/index.ts"
import { kindsOfTypes } from "../index.ts"

const bugMessage = "The server has either erred or is incapable of performing the requested operation."

export const renderFault = faultTable({
  statuses: { over_quota: 413, no_capacity: 409 },
  words: {
    invalid: "badRequest",
    unauthenticated: "unauthorized",
    forbidden: "forbidden",
    not_found: "itemNotFound",
    conflict: "conflictingRequest",
    precondition: "computeFault",
    over_quota: "overLimit",
    no_capacity: "conflictingRequest",
    too_large: "overLimit",
    unsupported: "notImplemented",
    rate_limited: "overLimit",
    timed_out: "computeFault",
    unavailable: "serviceUnavailable",
    bug: "computeFault",
  },
  codes: {
    "api.microversion.not_served": { status: 406, word: "computeFault" },
    // A wrong method counts as a wrong path.
    [methodNotAllowed.code]: { status: 404, word: "itemNotFound" },
  },
  messageOf: (fault) => {
    if (fault.kind === "bug") return bugMessage
    return fault.code === quotaExceeded.code ? quotaMessage(fault) : fault.message
  },
  body: ({ fault, status, message, word }) => {
    const { retryAfterMs, kind } = fault
    const seconds = retryAfterMs === undefined ? undefined : String(Math.ceil(retryAfterMs / 1000))
    const retryAfter = kind === "over_quota" ? "0" : seconds
    return {
      body: { [word]: { code: status, message, ...(retryAfter === undefined ? {} : { retryAfter }) } },
      ...(retryAfter === undefined ? {} : { headers: { "Retry-After": retryAfter } }),
    }
  },
})

/** What Cinder says of each of its limits. */
function quotaMessage(fault: Fault): string {
  // Of `quotaExceeded` alone.
  const shortages = (fault.detail?.shortages ?? []) as QuotaShortage[]
  // Of several it names the room first.
  const told = shortages.find((each) => each.resource.includes("gigabytes")) ?? shortages[0]
  if (!told) return fault.message
  const { resource, asked, used, limit } = told
  const kind = kindsOfTypes.find((each) => resource.startsWith(`${each}_`)) ?? resource
  if (kind === "gigabytes")
    return (
      `Requested volume or snapshot exceeds allowed ${resource} quota. Requested ${asked}G, quota is ${limit}G and ` +
      `${used}G has been consumed.`
    )
  if (resource === "backup_gigabytes")
    return (
      `Requested backup exceeds allowed Backup gigabytes quota. Requested ${asked}G, quota is ${limit}G and ` +
      `${used}G has been consumed.`
    )
  if (resource === "groups") return `Maximum number of groups allowed (${limit}) exceeded`
  return `Maximum number of ${kind} allowed (${limit}) exceeded for quota '${resource}'.`
}
