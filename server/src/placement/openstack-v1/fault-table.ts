// Placement's errors: {"errors": [{"status", "title", "detail", "code" (since 1.23), "request_id"}]}.
import { keystoneChallenge } from "../../identity/index.ts"
import type { Fault, FaultKind } from "../../platform/fault/fault.ts"
import { methodNotAllowed } from "../../platform/http/faults.ts"
import { atLeast, negotiate } from "../../platform/http/microversion.ts"
import type { RenderFault, WireRequest } from "../../platform/http/wire.ts"
import {
  consumerGenerationConflict,
  generationConflict,
  inventoryExists,
  inventoryInUse,
  providerHasChildren,
  providerInUse,
  providerNameTaken,
  reshapeProviderUnknown,
} from "../index.ts"
import {
  mediaTypeNotTaken,
  notAcceptable,
  queryKeyTwice,
  queryValueBad,
  queryValueMissing,
} from "./faults.ts"
import { plan } from "./plan.ts"

const statusOf: Readonly<Record<FaultKind, number>> = {
  invalid: 400,
  unauthenticated: 401,
  forbidden: 403,
  not_found: 404,
  conflict: 409,
  precondition: 412,
  over_quota: 403,
  no_capacity: 409,
  too_large: 413,
  unsupported: 400,
  rate_limited: 429,
  unavailable: 503,
  bug: 500,
}

const statusOfCode: Readonly<Record<string, number>> = {
  [mediaTypeNotTaken.code]: 415,
  [methodNotAllowed.code]: 405,
  [notAcceptable.code]: 406,
  "api.microversion.not_served": 406,
}

const titles: Readonly<Record<number, string>> = {
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  406: "Not Acceptable",
  409: "Conflict",
  412: "Precondition Failed",
  413: "Request Entity Too Large",
  415: "Unsupported Media Type",
  429: "Too Many Requests",
  500: "Internal Server Error",
  503: "Service Unavailable",
}

/** Clients decide by these words and not by ours. */
const wireCodes: Readonly<Record<string, string>> = {
  [inventoryInUse.code]: "placement.inventory.inuse",
  [generationConflict.code]: "placement.concurrent_update",
  [consumerGenerationConflict.code]: "placement.concurrent_update",
  [inventoryExists.code]: "placement.concurrent_update",
  [providerNameTaken.code]: "placement.duplicate_name",
  [providerInUse.code]: "placement.resource_provider.inuse",
  [providerHasChildren.code]: "placement.resource_provider.cannot_delete_parent",
  [reshapeProviderUnknown.code]: "placement.resource_provider.not_found",
  [queryKeyTwice.code]: "placement.query.duplicate_key",
  [queryValueBad.code]: "placement.query.bad_value",
  [queryValueMissing.code]: "placement.query.missing_value",
}

export const renderFault: RenderFault = (fault, { requestId, headers, baseUrl }) => {
  const status = statusOfCode[fault.code] ?? statusOf[fault.kind]
  const isVersionRefused = fault.code === "api.microversion.not_served"
  const error = {
    status,
    title: titles[status] ?? "Error",
    detail: detailOf(fault),
    ...(showsCode(fault, headers) ? { code: wireCodes[fault.code] ?? "placement.undefined_code" } : {}),
    request_id: requestId,
    ...(isVersionRefused ? { max_version: plan.max, min_version: plan.min } : {}),
  }
  return {
    status,
    body: { errors: [error] },
    ...(status === 401 ? { headers: keystoneChallenge(baseUrl) } : {}),
  }
}

function detailOf(fault: Fault): string {
  if (fault.code === "request.malformed_json") return `Malformed JSON: ${fault.message}`
  if (fault.code === methodNotAllowed.code) return "The method specified is not allowed for this resource."
  return fault.message
}

function showsCode(fault: Fault, headers: WireRequest["headers"]): boolean {
  // Strangers are turned away before their microversion is looked at.
  if (fault.code.startsWith("api.microversion.") || fault.kind === "unauthenticated") return false
  return atLeast(negotiate(plan, headers), "1.23")
}
