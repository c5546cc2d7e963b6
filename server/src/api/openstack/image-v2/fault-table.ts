// Errors as Glance shows them: a small page in HTML, in JSON for who accepts that and not HTML, else plain text.

import { imageGone, rangeNotSatisfiable } from "../../../image/index.ts"
import type { Fault, FaultKind } from "../../../platform/fault/fault.ts"
import type { RenderFault, WireRequest } from "../../../platform/http/wire.ts"
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

export const renderFault: RenderFault = (fault, { headers }) => {
  const status = statusOfCode[fault.code] ?? statusOf[fault.kind]
  if (status === 401) return unauthorized(fault)
  const title = titles[status] ?? "Error"
  const page = { status, title, message: fault.message }
  const { type, body } = render(page, headers)
  return { status, body, headers: { "content-type": `${type}; charset=UTF-8`, ...extraHeaders(fault) } }
}

/** The token middleware answers before Glance does, always in JSON. */
function unauthorized(fault: Fault) {
  const error = { message: fault.message, code: 401, title: "Unauthorized" }
  return { status: 401, body: { error }, headers: { "www-authenticate": 'Keystone uri="/identity"' } }
}

function extraHeaders(fault: Fault): Record<string, string> {
  if (fault.code === taskNotDeletable.code) return { allow: "GET" }
  const isPatch = fault.code === mediaTypeNotTaken.code && fault.message.includes("json-patch")
  return isPatch ? { "accept-patch": patchMediaTypes.join(", ") } : {}
}

interface Page {
  status: number
  title: string
  message: string
}

function render(page: Page, headers: WireRequest["headers"]): { type: string; body: string } {
  const { status, title, message } = page
  const name = `${status} ${title}`
  switch (preferred(headers.accept)) {
    case "html":
      return {
        type: "text/html",
        body:
          `<html>\n <head>\n  <title>${name}</title>\n </head>\n <body>\n  <h1>${name}</h1>\n  ` +
          `${escapeHtml(message)}<br /><br />\n\n\n\n </body>\n</html>`,
      }
    case "json":
      return { type: "application/json", body: JSON.stringify({ message, code: name, title }) }
    case "plain":
      return { type: "text/plain", body: `${name}\n\n${message}\n\n` }
  }
}

/** HTML wins when both are as welcome, which is so for a client that says nothing. */
function preferred(accept: string | string[] | undefined): "html" | "json" | "plain" {
  const text = Array.isArray(accept) ? accept.join(",") : accept
  if (text === undefined || text.trim() === "") return "html"
  const quality = (type: string) => {
    let best = { rank: -1, q: 0 }
    for (const part of text.split(",")) {
      const [range = "", ...parameters] = part.split(";").map((p) => p.trim().toLowerCase())
      const rank = range === type ? 2 : range === `${type.split("/")[0]}/*` ? 1 : range === "*/*" ? 0 : -1
      const q = Number(parameters.find((p) => p.startsWith("q="))?.slice(2) ?? "1")
      if (rank > best.rank) best = { rank, q }
    }
    return best.q
  }
  const [html, json] = [quality("text/html"), quality("application/json")]
  if (html === 0 && json === 0) return "plain"
  return json > html ? "json" : "html"
}

function escapeHtml(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;")
    .replaceAll("'", "&#x27;")
}
