import assert from "node:assert/strict"
import { test } from "node:test"
import type { PowerState } from "../../agent/protocol.ts"
import type { Server } from "../server/server.ts"
import { planMachines } from "./machines.reconciler.ts"

const since = "2026-01-01T00:00:00Z"
const machine = (serverId: string, power: PowerState = "running") => ({ serverId, state: { power, since } })
const server = (id: string, over: Partial<Server> = {}) =>
  // The plan looks at these facts only.
  ({ id, generation: 5, host: "h1", oldHost: null, taskState: null, deletedAt: null, ...over }) as Server
const plan = (machines: ReturnType<typeof machine>[], servers: Server[]) =>
  planMachines("h1", machines, new Map(servers.map((s) => [s.id, s]))).map((a) =>
    a.kind === "destroy" ? [a.kind, a.serverId, a.generation] : [a.kind, a.server.id, a.power],
  )

test("a machine that no row knows is removed above every fence", () => {
  assert.deepEqual(plan([machine("x")], []), [["destroy", "x", Number.MAX_SAFE_INTEGER]])
})

test("the machine of a deleted server is removed", () => {
  assert.deepEqual(plan([machine("a")], [server("a", { deletedAt: new Date() })]), [["destroy", "a", 6]])
})

test("a machine on a host that its server has left is removed, but not during a resize", () => {
  assert.deepEqual(plan([machine("a")], [server("a", { host: "h2" })]), [["destroy", "a", 5]])
  assert.deepEqual(plan([machine("a")], [server("a", { host: "h2", oldHost: "h1" })]), [])
})

test("power states are compared, and a machine that is gone counts as absent", () => {
  assert.deepEqual(plan([machine("a", "paused")], [server("a"), server("b")]), [
    ["power", "a", "paused"],
    ["power", "b", "absent"],
  ])
})

test("what a task works on is left alone", () => {
  const busy = server("a", { taskState: "spawning" })
  assert.deepEqual(plan([machine("a")], [busy]), [])
  assert.deepEqual(plan([], [busy]), [])
  assert.deepEqual(plan([machine("a")], [server("a", { taskState: "spawning", host: null })]), [])
})
