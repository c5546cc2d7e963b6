import assert from "node:assert/strict"
import { test } from "node:test"
import { Fault } from "../../platform/fault/fault.ts"
import { createLoginThrottle } from "./throttle.ts"

test("an address with too many failures waits for the end of its minute, others do not", () => {
  let nowMs = 0
  const throttle = createLoginThrottle({ failuresMax: 3, monotonicMs: () => nowMs })
  for (let i = 0; i < 3; i++) {
    throttle.check("10.0.0.1")
    throttle.noteFailure("10.0.0.1")
  }
  assert.throws(
    () => throttle.check("10.0.0.1"),
    (error) => error instanceof Fault && error.kind === "rate_limited" && error.retryAfterMs === 60_000,
  )
  throttle.check("10.0.0.2")
  nowMs = 59_999
  assert.throws(() => throttle.check("10.0.0.1"))
  nowMs = 60_000
  throttle.check("10.0.0.1")
})

test("without a limit nothing is counted", () => {
  const throttle = createLoginThrottle({ failuresMax: 0, monotonicMs: () => 0 })
  for (let i = 0; i < 100; i++) throttle.noteFailure("10.0.0.1")
  throttle.check("10.0.0.1")
})
