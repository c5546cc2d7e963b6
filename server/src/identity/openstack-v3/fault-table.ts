// Faults as Keystone shows them: {"error": {"code", "message", "title"}}.

import type { Fault, FaultKind } from "../../platform/fault/fault.ts"
import { methodNotAllowed } from "../../platform/http/faults.ts"
import type { ErrorReply, RenderFault } from "../../platform/http/wire.ts"
import { keystoneChallenge } from "../index.ts"
import { grantTypeUnsupported } from "./oauth2.ts"

const statusOf: Record<FaultKind, number> = {
  invalid: 400,
  unauthenticated: 401,
  forbidden: 403,
  not_found: 404,
  conflict: 409,
  precondition: 412,
  over_quota: 403,
  no_capacity: 503,
  too_large: 413,
  unsupported: 501,
  rate_limited: 429,
  unavailable: 503,
  bug: 500,
}

const titles: Readonly<Record<number, string>> = {
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  409: "Conflict",
  412: "Precondition Failed",
  413: "Request Entity Too Large",
  429: "Too Many Requests",
  500: "Internal Server Error",
  501: "Not Implemented",
  503: "Service Unavailable",
}

export const renderIdentityFault: RenderFault = (fault, request) => {
  const status = fault.code === methodNotAllowed.code ? 405 : statusOf[fault.kind]
  const reply: ErrorReply = {
    status,
    body: isOauth2(request.url)
      ? oauth2Body(fault)
      : { error: { code: status, message: messageOf(fault), title: titles[status] ?? "Error" } },
  }
  const receipt = fault.detail?.receipt
  if (status !== 401) return reply
  reply.headers = keystoneChallenge(request.baseUrl)
  if (isReceipt(receipt)) {
    reply.headers["Openstack-Auth-Receipt"] = receipt.id
    reply.body = receipt.body
  }
  return reply
}

/** Here clients read errors as RFC 6749, section 5.2, has them. */
function isOauth2(url: string): boolean {
  return /\/OS-OAUTH2\/token\/?(\?|$)/.test(url)
}

function oauth2Body(fault: Fault): Record<string, string> {
  const said = (error: string) => ({ error, error_description: messageOf(fault) })
  if (fault.code === grantTypeUnsupported.code) return said("unsupported_grant_type")
  if (fault.kind === "invalid") return said("invalid_request")
  if (fault.kind === "unauthenticated") return said("invalid_client")
  return said("other_error")
}

function isReceipt(value: unknown): value is { id: string; body: unknown } {
  return (
    typeof value === "object" &&
    value !== null &&
    "id" in value &&
    typeof value.id === "string" &&
    "body" in value
  )
}

function messageOf(fault: Fault): string {
  if (fault.code === "policy.forbidden" && typeof fault.detail?.rule === "string")
    return `You are not authorized to perform the requested action: ${fault.detail.rule}.`
  if (fault.kind === "bug") return "An unexpected error prevented the server from fulfilling your request."
  return fault.message
}
