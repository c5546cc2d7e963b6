import assert from "node:assert/strict"
import { test } from "node:test"
import { hoursWithin, sumByProject, usageOf } from "./usage.ts"
import type { UsedServer } from "./used-server.ts"

const at = (hour: number) => new Date(Date.UTC(2021, 0, 1, hour))
const period = { start: at(10), end: at(20) }
const server = (launched: number, terminated: number | null, over: Partial<UsedServer> = {}): UsedServer => ({
  id: "s",
  name: "vm",
  projectId: "p",
  vmState: "active",
  flavorName: "m1.tiny",
  vcpus: 2,
  ramMib: 512,
  diskGib: 3,
  launchedAt: at(launched),
  terminatedAt: terminated === null ? null : at(terminated),
  ...over,
})

test("only hours within the period count", () => {
  assert.equal(hoursWithin(server(0, null), period), 10)
  assert.equal(hoursWithin(server(12, 15), period), 3)
  assert.equal(hoursWithin(server(0, 11), period), 1)
  assert.equal(hoursWithin(server(19, 30), period), 1)
  assert.equal(hoursWithin(server(0, 5), period), 0)
  assert.equal(hoursWithin(server(21, null), period), 0)
})

test("uptime is the whole life, until now for one that runs", () => {
  assert.equal(usageOf(server(1, null), period, at(5)).uptimeSeconds, 4 * 3600)
  assert.equal(usageOf(server(1, 3), period, at(5)).uptimeSeconds, 2 * 3600)
})

test("projects are summed apart, by the size of each server", () => {
  const sums = sumByProject(
    [server(12, 14), server(15, 16, { vcpus: 1, ramMib: 100 }), server(10, 11, { projectId: "q" })],
    period,
    at(20),
  )
  assert.deepEqual(
    sums.map((s) => [s.projectId, s.hours, s.vcpuHours, s.ramMibHours, s.diskGibHours, s.servers.length]),
    [
      ["p", 3, 5, 1124, 9, 2],
      ["q", 1, 2, 512, 3, 1],
    ],
  )
})
