import assert from "node:assert/strict"
import { test } from "node:test"
import { type Clock, systemClock } from "./clock.ts"
import { ToldTime } from "./told-time.ts"

/** A clock that stands until it is moved on, and what sleeps by it. */
function standingClock() {
  const sleeping: { ms: number; end: () => void }[] = []
  let nowMs = 0
  const clock: Clock = {
    ...systemClock,
    monotonicMs: () => nowMs,
    sleep: (ms, signal) =>
      new Promise((end, give) => {
        if (signal?.aborted) return give(signal.reason)
        sleeping.push({ ms, end })
        signal?.addEventListener("abort", () => give(signal.reason), { once: true })
      }),
  }
  return {
    clock,
    sleeping,
    moveOn: (ms: number) => {
      nowMs += ms
    },
  }
}

test("no time is over at once, and what takes its time is counted until it is over", async () => {
  const { clock, sleeping } = standingClock()
  const time = new ToldTime(clock)
  await time.pass(() => 0)
  assert.deepEqual([sleeping.length, time.passing], [0, 0])
  const both = [time.pass(() => 40), time.pass(() => 50)]
  assert.equal(time.passing, 2)
  assert.deepEqual(
    sleeping.map(({ ms }) => ms),
    [40, 50],
  )
  for (const { end } of sleeping) end()
  await Promise.all(both)
  assert.equal(time.passing, 0)
})

test("what is said anew holds for what is under way, and what is over of it counts", async () => {
  const { clock, sleeping, moveOn } = standingClock()
  const time = new ToldTime(clock)
  let saidMs = 600_000
  const passing = time.pass(() => saidMs)
  moveOn(100)
  saidMs = 700
  time.sayAnew()
  await new Promise(setImmediate)
  assert.equal(sleeping.at(-1)?.ms, 600)
  // It says something else as well, and this is as it was.
  moveOn(50)
  time.sayAnew()
  await new Promise(setImmediate)
  assert.equal(sleeping.at(-1)?.ms, 550)
  saidMs = 120
  time.sayAnew()
  await passing
  assert.deepEqual([sleeping.length, time.passing], [3, 0])
})

test("who gives up waits no longer, also in the moment in which something is said anew", async () => {
  const { clock } = standingClock()
  const time = new ToldTime(clock)
  for (const isSaidAnew of [false, true]) {
    const giveUp = new AbortController()
    const passing = time.pass(() => 600_000, giveUp.signal)
    if (isSaidAnew) time.sayAnew()
    giveUp.abort(new Error("no more"))
    await assert.rejects(passing, /no more/)
    assert.equal(time.passing, 0)
  }
})
