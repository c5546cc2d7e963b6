import assert from "node:assert/strict"
import { test } from "node:test"
import { setTimeout as delay } from "node:timers/promises"
import { eventually } from "../../platform/clock/clock.ts"
import { GatheringQueue, ReportQueue } from "./report-queue.ts"

test("a host's reports are worked on a few at once, the newest of each thing, and none of another host waits", async () => {
  const done: string[] = []
  let running = 0
  let most = 0
  const queue = new ReportQueue<string>(2, async (report) => {
    most = Math.max(most, ++running)
    await delay(5)
    running--
    done.push(report)
  })
  for (let at = 0; at < 1_000; at++) queue.add("a", `thing ${at % 4}`, `a ${at}`)
  await eventually("all that are kept", () => done.length === 6)
  assert.equal(most, 2)
  assert.deepEqual(done.sort(), ["a 0", "a 1", "a 996", "a 997", "a 998", "a 999"])
  most = 0
  for (const host of ["a", "b", "c"]) queue.add(host, "thing", host)
  assert.equal(running, 3)
  await eventually("those of all hosts", () => done.length === 9)
  assert.deepEqual(done.slice(-3).sort(), ["a", "b", "c"])
})

test("what comes meanwhile is worked on together, the newest of each host, and bounded", async () => {
  const done: (readonly string[])[] = []
  const queue = new GatheringQueue<string>(async (reports) => {
    await delay(5)
    done.push(reports)
  })
  for (let at = 0; at < 700; at++) queue.add(`host ${at}`, `first ${at}`)
  for (let at = 0; at < 700; at++) queue.add(`host ${at}`, `second ${at}`)
  await eventually("three lots", () => done.length === 3)
  assert.deepEqual(
    done.map((reports) => reports.length),
    [1, 500, 200],
  )
  assert.equal(done[1]?.[0], "second 1")
  queue.add("later", "later")
  await eventually("a fourth", () => done.length === 4)
  assert.deepEqual(done.at(-1), ["later"])
})
