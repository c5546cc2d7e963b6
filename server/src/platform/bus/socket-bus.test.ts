import assert from "node:assert/strict"
import { mkdtemp, rm, stat } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { eventually } from "../clock/clock.ts"
import { Fault } from "../fault/fault.ts"
import { type BusEnds, busContract } from "./bus.contract.ts"
import { createMemoryBus } from "./memory-bus.ts"
import { openSocketBus, serveBus } from "./socket-bus.ts"

interface Opened extends BusEnds {
  socketPath: string
  hub: AsyncDisposable
  lost: string[]
}

async function open(farIsHub: boolean): Promise<Opened> {
  const directory = await mkdtemp(join(tmpdir(), "kumoi-bus-"))
  const socketPath = join(directory, "bus.sock")
  const bus = createMemoryBus()
  const hub = await serveBus(bus, socketPath)
  const lost: string[] = []
  const near = await openSocketBus({ socketPath, onLost: () => void lost.push("near") })
  const far = farIsHub ? bus : await openSocketBus({ socketPath, onLost: () => void lost.push("far") })
  return {
    near,
    far,
    hub,
    socketPath,
    lost,
    async [Symbol.asyncDispose]() {
      await near[Symbol.asyncDispose]()
      await far[Symbol.asyncDispose]()
      await hub[Symbol.asyncDispose]()
      await bus[Symbol.asyncDispose]()
      await rm(directory, { recursive: true })
    },
  }
}

busContract("socket, the other end has the bus", () => open(true))
busContract("socket, both ends reach it", () => open(false))
busContract("socket, seen from the one with the bus", async () => {
  const ends = await open(true)
  return { near: ends.far, far: ends.near, [Symbol.asyncDispose]: () => ends[Symbol.asyncDispose]() }
})

test("only its owner may connect", async () => {
  await using ends = await open(true)
  assert.equal((await stat(ends.socketPath)).mode & 0o777, 0o600)
})

test("a process hears that the one with the bus is gone, and its calls fail at once", async () => {
  await using ends = await open(true)
  const handed = Promise.withResolvers<void>()
  await using _served = await ends.far.serve("host.slow", async (_method, _args, signal) => {
    handed.resolve()
    await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }))
  })
  const call = ends.near.call("host.slow", "m", {}, { timeoutMs: 240_000 }).catch((error: unknown) => error)
  await handed.promise
  await ends.hub[Symbol.asyncDispose]()
  const fault = await call
  assert.ok(fault instanceof Fault)
  assert.equal(fault.kind, "unavailable")
  await eventually("the loss to be told", () => ends.lost.length === 1)
  await assert.rejects(ends.near.publish("any", 2), { code: "bus.closed" })
})

test("what a process served ends with it", async () => {
  await using ends = await open(false)
  await ends.far.serve("host.gone", async () => 1)
  assert.equal(await ends.near.call("host.gone", "m", {}, { timeoutMs: 240_000 }), 1)
  await ends.far[Symbol.asyncDispose]()
  await eventually("nobody to serve it", async () => {
    const answer = await ends.near.call("host.gone", "m", {}, { timeoutMs: 1_000 }).catch((e: unknown) => e)
    return answer instanceof Fault && answer.code === "bus.no_server"
  })
})
