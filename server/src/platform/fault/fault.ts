// The one error class of the program. Services throw it, each wire has one table from kind to its own
// error shape (ADR 6). Anything else that escapes is a bug: 500, request id, no detail.

/** Closed set. Adding a kind is an ADR; adding a code is a line in a service's `faults.ts`. */
export const faultKinds = [
  "invalid", // the request is wrong: says which field and what would be right
  "unauthenticated",
  "forbidden", // the caller may know that it exists, and may not do this
  "not_found", // also for what belongs to someone else
  "conflict", // the state of the thing forbids it now
  "precondition", // a condition that the caller named does not hold (If-Match, revision)
  "over_quota",
  "no_capacity",
  "too_large",
  "unsupported",
  "rate_limited", // the caller asked too often; the service itself is well (ADR 10)
  "timed_out", // the request itself did not come whole in its time (ADR 26)
  "unavailable", // the only kind that work inside the cloud retries by itself
  "bug",
] as const

export type FaultKind = (typeof faultKinds)[number]

export interface FaultOptions {
  /** Facts for the log only; never shown to the caller. */
  internal?: unknown
  cause?: unknown
  /** What only operators may read beside the message, where something keeps it for them. */
  forOperators?: string | undefined
  /** Machine-readable facts that a wire may show (resource names, quota figures). */
  detail?: Record<string, unknown> | undefined
  retryAfterMs?: number
}

export class Fault extends Error {
  readonly kind: FaultKind
  /** Dotted `service.noun.reason`; documented in docs/reference/errors.md, never reused. */
  readonly code: string
  readonly internal: unknown
  readonly forOperators: string | undefined
  readonly detail: Record<string, unknown> | undefined
  readonly retryAfterMs: number | undefined

  constructor(kind: FaultKind, code: string, message: string, options: FaultOptions = {}) {
    super(message, { cause: options.cause })
    this.name = "Fault"
    this.kind = kind
    this.code = code
    this.internal = options.internal
    this.forOperators = options.forOperators
    this.detail = options.detail
    this.retryAfterMs = options.retryAfterMs
  }
}

export interface FaultDefinition<A extends unknown[]> {
  (...args: A): Fault
  readonly kind: FaultKind
  readonly code: string
  /** Whether a caught error is this fault. */
  is(error: unknown): error is Fault
}

const registry = new Map<string, FaultDefinition<never[]>>()

/** Declares a fault once; call the result to make one. `docs/reference/errors.md` is generated from these. */
export function fault<A extends unknown[]>(
  kind: FaultKind,
  code: string,
  message: (...args: A) => string,
  detail?: (...args: A) => Record<string, unknown>,
): FaultDefinition<A> {
  if (registry.has(code)) throw new Error(`fault code ${code} is declared twice`)
  const make = (...args: A) => new Fault(kind, code, message(...args), { detail: detail?.(...args) })
  const is = (error: unknown): error is Fault => error instanceof Fault && error.code === code
  const definition: FaultDefinition<A> = Object.assign(make, { kind, code, is })
  registry.set(code, definition as unknown as FaultDefinition<never[]>)
  return definition
}

export function declaredFaults(): readonly { kind: FaultKind; code: string }[] {
  return [...registry.values()].map(({ kind, code }) => ({ kind, code }))
}

/** The request is wrong at `field`; `message` says what would be right. */
export function invalid(field: string, message: string): Fault {
  return new Fault("invalid", "request.invalid", message, { detail: { field } })
}

/** What to store or send on for an error of any sort: a fault as it is, everything else as a bug. */
export function toFault(error: unknown): Fault {
  if (error instanceof Fault) return error
  return new Fault("bug", "internal", "The server met an unexpected condition.", { cause: error })
}

/** One line with the whole chain of causes, for logs and operators; never for users. */
export function describeError(error: unknown): string {
  const parts: string[] = []
  for (let e: unknown = error, depth = 0; e !== undefined && e !== null && depth < 8; depth++) {
    parts.push(e instanceof Error ? `${e.name}: ${e.message}` : String(e))
    e = e instanceof Error ? e.cause : undefined
  }
  return parts.join(" <- ")
}
