// Errors as Glance shows them: as small pages.

import { renderErrorPage } from "../../api/openstack/error-page.ts"
import { keystoneChallenge } from "../../identity/index.ts"
import type { Fault, FaultKind } from "../../platform/fault/fault.ts"
import { methodNotAllowed } from "../../platform/http/faults.ts"
import type { RenderFault } from "../../platform/http/wire.ts"
import { imageGone, rangeNotSatisfiable } from "../index.ts"
import { mediaTypeNotTaken, patchMediaTypes, taskNotDeletable } from "./faults.ts"

const statusOf: Readonly<Record<FaultKind, number>> = {
  invalid: 400,
  unauthenticated: 401,
  forbidden: 403,
  not_found: 404,
  conflict: 409,
  precondition: 412,
  over_quota: 413,
  no_capacity: 503,
  too_large: 413,
  unsupported: 415,
  rate_limited: 429,
  unavailable: 503,
  bug: 500,
}

const statusOfCode: Readonly<Record<string, number>> = {
  [imageGone.code]: 410,
  [rangeNotSatisfiable.code]: 416,
  [taskNotDeletable.code]: 405,
  [methodNotAllowed.code]: 405,
}

const titles: Readonly<Record<number, string>> = {
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  409: "Conflict",
  410: "Gone",
  412: "Precondition Failed",
  413: "Request Entity Too Large",
  415: "Unsupported Media Type",
  416: "Requested Range Not Satisfiable",
  429: "Too Many Requests",
  500: "Internal Server Error",
  503: "Service Unavailable",
}

export const renderFault: RenderFault = (fault, { headers, baseUrl }) => {
  const status = statusOfCode[fault.code] ?? statusOf[fault.kind]
  if (status === 401) return unauthorized(fault, baseUrl)
  const title = titles[status] ?? "Error"
  const page = renderErrorPage({ status, title, message: fault.message }, headers)
  return { ...page, headers: { ...page.headers, ...extraHeaders(fault) } }
}

/** The token middleware answers before Glance does, always in JSON. */
function unauthorized(fault: Fault, baseUrl: string) {
  const error = { message: fault.message, code: 401, title: "Unauthorized" }
  return { status: 401, body: { error }, headers: keystoneChallenge(baseUrl) }
}

function extraHeaders(fault: Fault): Record<string, string> {
  if (fault.code === taskNotDeletable.code) return { allow: "GET" }
  const isPatch = fault.code === mediaTypeNotTaken.code && fault.message.includes("json-patch")
  return isPatch ? { "accept-patch": patchMediaTypes.join(", ") } : {}
}
