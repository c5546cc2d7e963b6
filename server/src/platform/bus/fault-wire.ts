// How the outcome of a call travels. A fault keeps its kind and code; anything else arrives as a bug.
import { Type } from "typebox"
import { describeError, Fault, type FaultKind, faultKinds, toFault } from "../fault/fault.ts"
import { fits } from "../schema/compiled.ts"
import { anyObject, word } from "../schema/make.ts"

export interface WireFault {
  kind: FaultKind
  code: string
  message: string
  detail?: Record<string, unknown>
  retryAfterMs?: number
  /** The chain of causes, for the log of the caller's side; the bus is inside the cloud. */
  internal: string
}

export type WireReply = { result: unknown } | { fault: WireFault }

const WireFaultBody = Type.Object({
  kind: word(faultKinds),
  code: Type.String({ maxLength: 200 }),
  message: Type.String({ maxLength: 65_536 }),
  detail: Type.Optional(anyObject),
  retryAfterMs: Type.Optional(Type.Number({ minimum: 0, maximum: 24 * 3_600_000 })),
  internal: Type.String({ maxLength: 1_048_576 }),
})

/** The result, or the fault thrown. The other end may be a host that somebody has taken over. */
export function resultOf(reply: unknown): unknown {
  // Looked at below.
  const { result, fault } = (reply ?? {}) as { result?: unknown; fault?: unknown }
  if (fault === undefined) return result
  throw fits(WireFaultBody, fault)
    ? decodeFault(fault as WireFault)
    : answerWrong("a call", "It is no fault.")
}

export function encodeFault(error: unknown): WireFault {
  const { kind, code, message, detail, retryAfterMs, internal } = toFault(error)
  // What came from a third process keeps its own chain.
  const chain = typeof internal === "string" ? [internal] : []
  return {
    kind,
    code,
    message,
    ...(detail === undefined ? {} : { detail }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    internal: [describeError(error), ...chain].join(" <- "),
  }
}

export function decodeFault(wire: WireFault): Fault {
  return new Fault(wire.kind, wire.code, wire.message, {
    detail: wire.detail,
    internal: wire.internal,
    ...(wire.retryAfterMs === undefined ? {} : { retryAfterMs: wire.retryAfterMs }),
  })
}

export function answerWrong(what: string, why: string): Fault {
  return new Fault("unavailable", "bus.answer_wrong", `The answer of ${what} cannot be used: ${why}`)
}

export function noServer(topic: string): Fault {
  return new Fault("unavailable", "bus.no_server", `Nobody serves ${topic} now; try again.`)
}

export function noAnswer(topic: string, method: string, timeoutMs: number): Fault {
  const text = `${topic} did not answer ${method} within ${timeoutMs} ms; try again.`
  return new Fault("unavailable", "bus.no_answer", text)
}

export function callAborted(topic: string, method: string, cause: unknown): Fault {
  return new Fault("unavailable", "bus.call_aborted", `The call ${method} of ${topic} was given up.`, {
    cause,
  })
}

export function busClosed(name: string): Fault {
  return new Fault("unavailable", "bus.closed", `The ${name} bus is closed.`)
}
