// Nova's error shape: {"itemNotFound": {"code": 404, "message": …}}.

import { renderErrorPage } from "../../api/openstack/error-page.ts"
import { faultTable } from "../../api/openstack/fault-table.ts"
import type { Fault, FaultKind } from "../../platform/fault/fault.ts"
import { methodNotAllowed, pathUnknown } from "../../platform/http/faults.ts"
import { apiRemoved } from "../index.ts"

const bugMessage =
  "Unexpected API Error. Please report this with the request id that the reply's x-compute-request-id header has."

export const renderFault = faultTable({
  statuses: { no_capacity: 409 },
  words: {
    invalid: "badRequest",
    unauthenticated: "unauthorized",
    forbidden: "forbidden",
    not_found: "itemNotFound",
    conflict: "conflictingRequest",
    precondition: "computeFault",
    over_quota: "forbidden",
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
    [methodNotAllowed.code]: { status: 404 },
    [apiRemoved.code]: { status: 410, word: "computeFault" },
  },
  kindOf,
  messageOf: (fault) => (fault.kind === "bug" ? bugMessage : fault.message),
  body: ({ fault, status, title, message, word }, { headers }) => {
    // What no controller of Nova's takes never gets to its faults.
    if (fault.code === pathUnknown.code || fault.code === methodNotAllowed.code)
      return renderErrorPage({ status, title, message: pathUnknown().message }, headers)
    const { retryAfterMs } = fault
    const retryAfter =
      retryAfterMs === undefined ? {} : { retryAfter: String(Math.ceil(retryAfterMs / 1000)) }
    return { body: { [word]: { code: status, message, ...retryAfter } } }
  },
})

/** What Nova's old ways to the network answer 400 to, although the network calls it a conflict. */
function kindOf(fault: Fault): FaultKind {
  const isOfNetwork = /^network\.(security_group|floating_ip)/.test(fault.code)
  return fault.kind === "conflict" && isOfNetwork ? "invalid" : fault.kind
}
