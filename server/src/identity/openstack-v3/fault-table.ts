// Faults as Keystone shows them: {"error": {"code", "message", "title"}}.

import { faultTable } from "../../api/openstack/fault-table.ts"
import type { Fault } from "../../platform/fault/fault.ts"
import { grantTypeUnsupported } from "./oauth2.ts"

export const renderIdentityFault = faultTable({
  messageOf,
  body: ({ fault, status, title, message }, request) => {
    const receipt = fault.detail?.receipt
    if (status === 401 && isReceipt(receipt))
      return { body: receipt.body, headers: { "Openstack-Auth-Receipt": receipt.id } }
    if (isOauth2(request.url)) return { body: oauth2Body(fault, message) }
    return { body: { error: { code: status, message, title } } }
  },
})

/** Here clients read errors as RFC 6749, section 5.2, has them. */
function isOauth2(url: string): boolean {
  return /\/OS-OAUTH2\/token\/?(\?|$)/.test(url)
}

function oauth2Body(fault: Fault, message: string): Record<string, string> {
  const said = (error: string) => ({ error, error_description: message })
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
