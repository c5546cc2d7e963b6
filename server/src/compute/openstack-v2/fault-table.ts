// Nova's error shape: {"itemNotFound": {"code": 404, "message": …}}.

import { renderErrorPage } from "../../api/openstack/error-page.ts"
import { keystoneChallenge } from "../../identity/index.ts"
import type { Fault, FaultKind } from "../../platform/fault/fault.ts"
import { methodNotAllowed, pathUnknown } from "../../platform/http/faults.ts"
import type { ErrorReply, RenderFault } from "../../platform/http/wire.ts"

const byKind: Readonly<Record<FaultKind, { status: number; word: string }>> = {
  invalid: { status: 400, word: "badRequest" },
  unauthenticated: { status: 401, word: "unauthorized" },
  forbidden: { status: 403, word: "forbidden" },
  not_found: { status: 404, word: "itemNotFound" },
  conflict: { status: 409, word: "conflictingRequest" },
  precondition: { status: 412, word: "computeFault" },
  over_quota: { status: 403, word: "forbidden" },
  no_capacity: { status: 409, word: "conflictingRequest" },
  too_large: { status: 413, word: "overLimit" },
  unsupported: { status: 501, word: "notImplemented" },
  rate_limited: { status: 429, word: "overLimit" },
  unavailable: { status: 503, word: "serviceUnavailable" },
  bug: { status: 500, word: "computeFault" },
}

const bugMessage =
  "Unexpected API Error. Please report this with the request id that the reply's x-compute-request-id header has."

export const renderFault: RenderFault = (fault, { headers, baseUrl }) => {
  // What no controller of Nova's takes never gets to its faults; a wrong method counts as a wrong path.
  if (fault.code === pathUnknown.code || fault.code === methodNotAllowed.code)
    return renderErrorPage({ status: 404, title: "Not Found", message: pathUnknown().message }, headers)
  const own = notAcceptable(fault)
  if (own) return own
  const { status, word } = byKind[kindOf(fault)]
  const message = fault.kind === "bug" ? bugMessage : fault.message
  return {
    status,
    body: {
      [word]: {
        code: status,
        message,
        ...(fault.retryAfterMs === undefined
          ? {}
          : { retryAfter: String(Math.ceil(fault.retryAfterMs / 1000)) }),
      },
    },
    ...(fault.kind === "unauthenticated" ? { headers: keystoneChallenge(baseUrl) } : {}),
  }
}

/** What Nova's old ways to the network answer 400 to, although the network calls it a conflict. */
function kindOf(fault: Fault): FaultKind {
  const isOfNetwork = /^network\.(security_group|floating_ip)/.test(fault.code)
  return fault.kind === "conflict" && isOfNetwork ? "invalid" : fault.kind
}

/** A microversion that is not served has its own status and shape. */
function notAcceptable(fault: Fault): ErrorReply | undefined {
  if (fault.code !== "api.microversion.not_served") return undefined
  return {
    status: 406,
    body: { computeFault: { code: 406, message: fault.message } },
  }
}
