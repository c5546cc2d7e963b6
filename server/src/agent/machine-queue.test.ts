import assert from "node:assert/strict"
import { test } from "node:test"
import { agentMachineBusy } from "./faults.ts"
import { forEachLimited, MachineQueues } from "./machine-queue.ts"

test("one task at a time for a machine, machines beside each other, a failure stops nothing", async () => {
  const queues = new MachineQueues()
  const seen: string[] = []
  let running = 0
  const task = (name: string) => async () => {
    assert.equal(++running, 1)
    await Promise.resolve()
    seen.push(name)
    running--
    if (name === "b") throw new Error("b failed")
  }
  const gate = Promise.withResolvers<void>()
  const other = queues.run("other", () => gate.promise)
  const results = await Promise.allSettled(["a", "b", "c"].map((name) => queues.run("one", task(name))))
  assert.deepEqual(seen, ["a", "b", "c"])
  assert.deepEqual(
    results.map((result) => result.status),
    ["fulfilled", "rejected", "fulfilled"],
  )
  gate.resolve()
  await other
  await queues.idle()
})

test("a machine whose queue is full turns commands away, but not the agent's own work", async () => {
  const queues = new MachineQueues()
  const gate = Promise.withResolvers<void>()
  const waiting = Array.from({ length: 32 }, () => queues.run("one", () => gate.promise))
  await assert.rejects(
    queues.run("one", async () => {}),
    agentMachineBusy.is,
  )
  const own = queues.run("one", async () => "done", { isOwn: true })
  gate.resolve()
  await Promise.all(waiting)
  assert.equal(await own, "done")
  await queues.run("one", async () => {})
})

test("forEachLimited does everything, and no more than so many at once", async () => {
  let [running, most, done] = [0, 0, 0]
  await forEachLimited(Array.from({ length: 20 }), 3, async () => {
    most = Math.max(most, ++running)
    await Promise.resolve()
    running--
    done++
  })
  assert.deepEqual([most, done], [3, 20])
})
