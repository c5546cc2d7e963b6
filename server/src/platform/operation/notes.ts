// What operations and routes do and nobody declared: a fault that is not in the operation's list, a call of an
// operation that the route does not name, a success with another status than the route's. A mistake of ours and none
// of the caller's, so nothing is refused: tests fail at it, and a running cloud counts it (/metrics). Tests note besides
// what routes tell and is not so.
import type { Fault, FaultKind } from "../fault/fault.ts"

export type NoteKind =
  | "undeclared_fault"
  | "unnamed_operation"
  | "undeclared_status"
  | "untold_query"
  | "untold_answer"

export interface Note {
  kind: NoteKind
  /** Or the route, of what it answers. */
  operation: string
  /** The fault's code, the route, the status, the parameter, or what the answer has. */
  what: string
  count: number
}

const notes = new Map<string, Note>()

/** All since the process began. */
export function operationNotes(): readonly Note[] {
  return [...notes.values()]
}

/** For tests. */
export function forgetOperationNotes(): void {
  notes.clear()
}

function note(kind: NoteKind, operation: string, what: string): void {
  const key = `${kind} ${operation} ${what}`
  const known = notes.get(key)
  if (known) known.count++
  else notes.set(key, { kind, operation, what, count: 1 })
}

export function noteUnnamed(operation: string, route: string): void {
  note("unnamed_operation", operation, route)
}

export function noteStatus(route: string, status: number): void {
  note("undeclared_status", route, String(status))
}

export function noteUntold(kind: "untold_query" | "untold_answer", route: string, what: string): void {
  note(kind, route, what)
}

/**
 * Of any operation, whatever it decides itself: the wrapper refuses (policy, input), the database does not take a text,
 * a project's limit is reached, something below is away, the client stands still, or there is a bug.
 */
const commonCodes: ReadonlySet<string> = new Set(["policy.forbidden", "request.invalid", "database.bad_text"])
const commonKinds: ReadonlySet<FaultKind> = new Set(["unavailable", "over_quota", "timed_out", "bug"])

/** Those that came out of another operation, which has judged them. */
const judged = new WeakSet<Fault>()

export function noteUndeclared(operation: string, declared: readonly string[], fault: Fault): void {
  if (judged.has(fault)) return
  judged.add(fault)
  if (commonKinds.has(fault.kind) || commonCodes.has(fault.code) || declared.includes(fault.code)) return
  note("undeclared_fault", operation, fault.code)
}
