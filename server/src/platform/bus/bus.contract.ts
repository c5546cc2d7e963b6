// What every bus must do. `open` gives two ends of one bus: as in two processes.
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { eventually } from "../clock/clock.ts"
import { Fault } from "../fault/fault.ts"
import type { Bus } from "./bus.ts"

export interface BusEnds extends AsyncDisposable {
  near: Bus
  far: Bus
}

const soon = { timeoutMs: 5_000 }

async function faultOf(promise: Promise<unknown>): Promise<Fault> {
  const error = await promise.then(
    () => assert.fail("a fault was expected"),
    (reason: unknown) => reason,
  )
  if (!(error instanceof Fault)) throw error
  return error
}

export function busContract(name: string, open: () => Promise<BusEnds>): void {
  describe(`bus contract: ${name}`, () => {
    callContract(open)
    faultContract(open)
    workSharingContract(open)
    fanoutContract(open)
  })
}

function callContract(open: () => Promise<BusEnds>): void {
  test("a call is answered by a server of the topic", async () => {
    await using ends = await open()
    await using _served = await ends.far.serve("host.a", async (method, args) => ({ method, args }))
    const answer = await ends.near.call("host.a", "echo", { n: 1, list: [1, null, "ü"] }, soon)
    assert.deepEqual(answer, { method: "echo", args: { n: 1, list: [1, null, "ü"] } })
    assert.equal(await ends.near.call("host.a", "echo", undefined, soon).then((a) => typeof a), "object")
  })

  test("nothing but data arrives", async () => {
    await using ends = await open()
    const seen: unknown[] = []
    await using _served = await ends.far.serve("host.a", async (_method, args) => {
      seen.push(args)
      return { at: new Date(0), gone: undefined }
    })
    const answer = await ends.near.call("host.a", "m", { at: new Date(0), gone: undefined }, soon)
    assert.deepEqual(seen, [{ at: "1970-01-01T00:00:00.000Z" }])
    assert.deepEqual(answer, { at: "1970-01-01T00:00:00.000Z" })
  })

  test("a topic without server is unavailable", async () => {
    await using ends = await open()
    const fault = await faultOf(ends.near.call("host.nobody", "m", {}, { timeoutMs: 300 }))
    assert.equal(fault.kind, "unavailable")
  })

  test("a server that does not answer in time is unavailable, and is told to stop", async () => {
    await using ends = await open()
    let wasTold = false
    await using _served = await ends.far.serve("host.slow", async (_m, _a, signal) => {
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }))
      wasTold = true
    })
    const fault = await faultOf(ends.near.call("host.slow", "m", {}, { timeoutMs: 200 }))
    assert.equal(fault.kind, "unavailable")
    assert.equal(fault.code, "bus.no_answer")
    await eventually("the handler to be told", () => wasTold)
  })

  test("a caller may give up", async () => {
    await using ends = await open()
    const handed = Promise.withResolvers<void>()
    const release = Promise.withResolvers<void>()
    await using _served = await ends.far.serve("host.slow", async () => {
      handed.resolve()
      await release.promise
    })
    const giveUp = new AbortController()
    const call = faultOf(ends.near.call("host.slow", "m", {}, { ...soon, signal: giveUp.signal }))
    await handed.promise
    giveUp.abort()
    assert.equal((await call).code, "bus.call_aborted")
    release.resolve()
  })
}

function faultContract(open: () => Promise<BusEnds>): void {
  test("a fault arrives as the same fault", async () => {
    await using ends = await open()
    await using _served = await ends.far.serve("host.a", async () => {
      throw new Fault("conflict", "compute.server.busy", "The server is busy.", {
        detail: { state: "building" },
        retryAfterMs: 70,
      })
    })
    const fault = await faultOf(ends.near.call("host.a", "m", {}, soon))
    assert.equal(fault.kind, "conflict")
    assert.equal(fault.code, "compute.server.busy")
    assert.equal(fault.message, "The server is busy.")
    assert.deepEqual(fault.detail, { state: "building" })
    assert.equal(fault.retryAfterMs, 70)
  })

  test("another error arrives as a bug, its text only for the log", async () => {
    await using ends = await open()
    await using _served = await ends.far.serve("host.a", async () => {
      throw new TypeError("secret internals")
    })
    const fault = await faultOf(ends.near.call("host.a", "m", {}, soon))
    assert.equal(fault.kind, "bug")
    assert.doesNotMatch(fault.message, /secret/)
    assert.match(String(fault.internal), /secret internals/)
  })

  test("a cast that fails does not stop the server", async () => {
    await using ends = await open()
    const seen: unknown[] = []
    await using _served = await ends.far.serve("host.a", async (_m, args) => {
      seen.push(args)
      throw new Error("no")
    })
    await ends.near.cast("host.a", "m", 1)
    await ends.near.cast("host.a", "m", 2)
    await eventually("both casts", () => seen.length === 2)
  })
}

function workSharingContract(open: () => Promise<BusEnds>): void {
  test("servers of one topic share the work; each request goes to one", async () => {
    await using ends = await open()
    const counts = { a: 0, b: 0 }
    await using _a = await ends.far.serve("work", async () => void counts.a++)
    await using _b = await ends.near.serve("work", async () => void counts.b++)
    await Promise.all(Array.from({ length: 40 }, () => ends.near.call("work", "m", {}, soon)))
    assert.equal(counts.a + counts.b, 40)
    assert.ok(counts.a > 0 && counts.b > 0, `shared as ${counts.a} and ${counts.b}`)
  })

  test("a server works on no more than its concurrency", async () => {
    await using ends = await open()
    let now = 0
    let most = 0
    const work = async () => {
      most = Math.max(most, ++now)
      await new Promise((resolve) => setImmediate(resolve))
      now--
    }
    await using _served = await ends.far.serve("work", work, { concurrency: 2 })
    await Promise.all(Array.from({ length: 20 }, () => ends.near.call("work", "m", {}, soon)))
    assert.ok(most <= 2, `${most} at once`)
  })

  test("one at a time keeps the order", async () => {
    await using ends = await open()
    const seen: unknown[] = []
    await using _served = await ends.far.serve("ordered", async (_m, n) => void seen.push(n), {
      concurrency: 1,
    })
    for (let n = 0; n < 50; n++) await ends.near.cast("ordered", "m", n)
    await eventually("all to arrive", () => seen.length === 50)
    assert.deepEqual(
      seen,
      Array.from({ length: 50 }, (_, n) => n),
    )
  })

  test("a server that was disposed gets no more requests, and its running ones are told and waited for", async () => {
    await using ends = await open()
    const handed = Promise.withResolvers<void>()
    let hasEnded = false
    const served = await ends.far.serve("host.a", async (_m, _a, signal) => {
      handed.resolve()
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }))
      hasEnded = true
      return "ended"
    })
    const call = ends.near.call("host.a", "m", {}, soon)
    await handed.promise
    await served[Symbol.asyncDispose]()
    assert.ok(hasEnded)
    assert.equal(await call, "ended")
    const fault = await faultOf(ends.near.call("host.a", "m", {}, { timeoutMs: 300 }))
    assert.equal(fault.kind, "unavailable")
  })
}

function fanoutContract(open: () => Promise<BusEnds>): void {
  test("every subscriber gets every message, in order", async () => {
    await using ends = await open()
    const first: unknown[] = []
    const second: unknown[] = []
    await using _a = await ends.near.subscribe("news", (message) => void first.push(message))
    await using _b = await ends.far.subscribe("news", (message) => void second.push(message))
    for (let n = 0; n < 20; n++) await ends.near.publish("news", { n })
    await eventually("all to arrive", () => first.length === 20 && second.length === 20)
    const expected = Array.from({ length: 20 }, (_, n) => ({ n }))
    assert.deepEqual(first, expected)
    assert.deepEqual(second, expected)
  })

  test("notifications that are published at once, without waiting for one another, arrive in order", async () => {
    await using ends = await open()
    const seen: unknown[] = []
    await using _a = await ends.far.subscribe("notifications.info", (message) => void seen.push(message))
    const numbers = Array.from({ length: 500 }, (_, n) => n)
    await Promise.all(numbers.map((n) => ends.near.publish("notifications.info", n)))
    await eventually("all to arrive", () => seen.length === 500)
    assert.deepEqual(seen, numbers)
  })

  test("a subscriber that throws does not keep others from the message", async () => {
    await using ends = await open()
    const seen: unknown[] = []
    await using _a = await ends.near.subscribe("news", () => {
      throw new Error("no")
    })
    await using _b = await ends.near.subscribe("news", (message) => void seen.push(message))
    await ends.near.publish("news", 1)
    await ends.near.publish("news", 2)
    await eventually("both", () => seen.length === 2)
  })

  test("nobody hears after it was disposed, and nobody listening is no error", async () => {
    await using ends = await open()
    const seen: unknown[] = []
    const kept: unknown[] = []
    const subscription = await ends.near.subscribe("news", (message) => void seen.push(message))
    await using _kept = await ends.near.subscribe("news", (message) => void kept.push(message))
    await subscription[Symbol.asyncDispose]()
    await ends.far.publish("news", 1)
    await ends.far.publish("news.nobody", 1)
    await eventually("the other to hear", () => kept.length === 1)
    assert.equal(seen.length, 0)
  })
}
