import assert from "node:assert/strict"
import { test } from "node:test"
import { systemClock } from "../../platform/clock/clock.ts"
import { type CadfEvent, cadfEvent, type Outcome } from "./cadf.ts"
import { createLoginQueue } from "./login-queue.ts"

function login(outcome: Outcome): CadfEvent {
  const account = { typeURI: "", id: "" }
  const facts = { action: "authenticate", initiator: account, target: account, observerId: "" }
  return cadfEvent(new Date(0), { ...facts, outcome })
}

function queue(lengthMax: number, failuresPerMinuteMax: number) {
  const time = { ms: 0 }
  const clock = { ...systemClock, monotonicMs: () => time.ms }
  return { time, made: createLoginQueue({ clock, lengthMax, failuresPerMinuteMax }) }
}

test("of the failures of a minute only so many are kept, the rest is counted and told afterwards", () => {
  const { time, made } = queue(100, 3)
  const kept = Array.from({ length: 10 }, () => made.add(login("failure")))
  assert.deepEqual(kept.filter(Boolean).length, 3)
  // Logins that succeed are not hidden by those that do not.
  assert.ok(made.add(login("success")))
  assert.equal(made.takeSuppressed(), 0)
  time.ms = 60_000
  assert.equal(made.takeSuppressed(), 7)
  assert.equal(made.takeSuppressed(), 0)
  assert.ok(made.add(login("failure")))
  assert.equal(made.take(100).length, 5)
})

test("the queue has an end, and what was not written comes again first", () => {
  const { time, made } = queue(3, 100)
  const events = Array.from({ length: 5 }, () => login("success"))
  assert.deepEqual(
    events.map((event) => made.add(event)),
    [true, true, true, false, false],
  )
  const taken = made.take(2)
  made.giveBack(taken)
  assert.deepEqual(made.take(10), events.slice(0, 3))
  time.ms = 60_000
  assert.equal(made.takeSuppressed(), 2)
})
