// One maker of fault tables for the APIs of this family: what they have in common is here, and each API says where it
// differs and how its body looks. A family with other habits (AWS, CloudStack) has its own beside it.
import type { Fault, FaultKind } from "../../platform/fault/fault.ts"
import { methodNotAllowed } from "../../platform/http/faults.ts"
import type { ErrorReply, RenderFault } from "../../platform/http/wire.ts"

/** The usual answer to each kind. */
const usualStatus: Readonly<Record<FaultKind, number>> = {
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
  timed_out: 408,
  unavailable: 503,
  bug: 500,
}

/** What the edge itself refuses. */
const usualStatusOfCode: Readonly<Record<string, number>> = { [methodNotAllowed.code]: 405 }

const titles: Readonly<Record<number, string>> = {
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  406: "Not Acceptable",
  408: "Request Timeout",
  409: "Conflict",
  410: "Gone",
  412: "Precondition Failed",
  413: "Request Entity Too Large",
  415: "Unsupported Media Type",
  416: "Requested Range Not Satisfiable",
  429: "Too Many Requests",
  500: "Internal Server Error",
  501: "Not Implemented",
  503: "Service Unavailable",
}

/** What is special about one code. */
interface CodeAnswer {
  status?: number
  /** The API's own name for it. */
  word?: string
  headers?: Record<string, string>
}

/** A fault as the body shall show it. */
interface ShownFault {
  fault: Fault
  status: number
  title: string
  message: string
  /** The code's own word, else the kind's; empty in an API without words. */
  word: string
}

export type FaultRequest = Parameters<RenderFault>[1]

interface FaultTable {
  /** Kinds that this API does not answer with the usual status. */
  statuses?: Partial<Readonly<Record<FaultKind, number>>>
  /** Its word for each kind, in an API that has words. */
  words?: Readonly<Record<FaultKind, string>>
  codes?: Readonly<Record<string, CodeAnswer>>
  /** A fault that is answered as one of another kind is. */
  kindOf?: (fault: Fault) => FaultKind
  /** Default: the fault's own. */
  messageOf?: (fault: Fault, request: FaultRequest) => string
  /** The body, with the headers that it needs; the status comes from the table. */
  body: (shown: ShownFault, request: FaultRequest) => Pick<ErrorReply, "body" | "headers">
}

export function faultTable(table: FaultTable): RenderFault {
  const statuses = { ...usualStatus, ...table.statuses }
  return (fault, request) => {
    const kind = table.kindOf?.(fault) ?? fault.kind
    const own = table.codes?.[fault.code]
    const status = own?.status ?? usualStatusOfCode[fault.code] ?? statuses[kind]
    const shown = {
      fault,
      status,
      title: titles[status] ?? "Error",
      message: table.messageOf?.(fault, request) ?? fault.message,
      word: own?.word ?? table.words?.[kind] ?? "",
    }
    const { body, headers } = table.body(shown, request)
    const all = { ...(status === 401 ? challenge(request.baseUrl) : {}), ...headers, ...own?.headers }
    return { status, body, ...(Object.keys(all).length > 0 ? { headers: all } : {}) }
  }
}

/** Every 401 names where to log in: clients of any service read it. */
function challenge(publicUrl: string): Record<string, string> {
  return { "WWW-Authenticate": `Keystone uri="${publicUrl}/identity"` }
}
