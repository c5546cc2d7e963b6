import assert from "node:assert/strict"
import { test } from "node:test"
import { judgeFence } from "../../agent/fence-store.ts"
import type { PowerState } from "../../agent/protocol.ts"
import type { MigrationStatus } from "../migration/migration.ts"
import type { Server } from "../server/server.ts"
import { isDecided, isRemoval, planMachines, removalsMost } from "./machines.plan.ts"

const since = "2026-01-01T00:00:00Z"
const machine = (serverId: string, power: PowerState = "running") => ({ serverId, state: { power, since } })
const server = (id: string, over: Partial<Server> = {}) =>
  // The plan looks at these facts only.
  ({ id, generation: 5, host: "h1", oldHost: null, taskState: null, deletedAt: null, ...over }) as Server
const planOf = (machines: ReturnType<typeof machine>[], servers: Server[]) =>
  planMachines("h1", machines, new Map(servers.map((s) => [s.id, s])))
const plan = (machines: ReturnType<typeof machine>[], servers: Server[]) =>
  planOf(machines, servers).map((a) =>
    a.kind === "power"
      ? [a.kind, a.server.id, a.state.power]
      : [a.kind, a.kind === "missing" ? a.server.id : a.serverId],
  )

test("a machine that no row knows is unknown, whatever else there is", () => {
  assert.deepEqual(plan([machine("x"), machine("y", "shutdown")], []), [
    ["unknown", "x"],
    ["unknown", "y"],
  ])
})

test("the machine of a deleted server is removed", () => {
  assert.deepEqual(plan([machine("a")], [server("a", { deletedAt: new Date() })]), [["destroy", "a"]])
})

test("a machine on a host that its server has left is removed, but not during a resize", () => {
  assert.deepEqual(plan([machine("a")], [server("a", { host: "h2" })]), [["destroy", "a"]])
  assert.deepEqual(plan([machine("a")], [server("a", { host: null })]), [["destroy", "a"]])
  assert.deepEqual(plan([machine("a")], [server("a", { host: "h2", oldHost: "h1" })]), [])
})

test("the agent accepts each removal that is planned, and still refuses it when a later task has been there", () => {
  const rows = [
    server("a", { host: null }),
    server("a", { host: "h2" }),
    server("a", { deletedAt: new Date() }),
  ]
  for (const row of rows) {
    const [action] = planOf([machine("a")], [row])
    assert.equal(action?.kind, "destroy")
    const sent = { generation: action?.kind === "destroy" ? action.generation : 0, fence: 0 }
    // A task of this generation has been at the host, whichever worker ended it and however: also by a delete.
    for (const fence of [1, 2, 9]) {
      for (const isDestroyed of [false, true]) {
        const known = { generation: row.generation, fence, isDestroyed }
        assert.deepEqual(judgeFence(known, sent, "destroy"), { ...sent, epoch: 0, isDestroyed: true })
      }
    }
    const later = { generation: row.generation + 2, fence: 1, isDestroyed: false }
    assert.equal(judgeFence(later, sent, "destroy"), null)
  }
})

test("what a live migration has left is still removed when its own removal was accepted and failed", () => {
  const row = server("a", { host: "h2" })
  const [action] = planOf([machine("a", "paused")], [row])
  const sent = { generation: action?.kind === "destroy" ? action.generation : 0, fence: 0 }
  // As `leave` sends it: above the migration's own commands, and as the reconciler does.
  const known = { generation: row.generation + 1, fence: 0, isDestroyed: true }
  assert.notEqual(judgeFence(known, sent, "destroy"), null)
})

test("power states are compared, and a machine that is gone is missed", () => {
  assert.deepEqual(plan([machine("a", "paused")], [server("a"), server("b")]), [
    ["power", "a", "paused"],
    ["missing", "b"],
  ])
  assert.deepEqual(plan([machine("a", "absent")], [server("a")]), [["missing", "a"]])
})

test("what a task works on is left alone", () => {
  const busy = server("a", { taskState: "spawning" })
  assert.deepEqual(plan([machine("a")], [busy]), [])
  assert.deepEqual(plan([], [busy]), [])
  assert.deepEqual(plan([machine("a")], [server("a", { taskState: "spawning", host: null })]), [])
})

test("a pass takes away one machine, or a small share of a host's", () => {
  assert.deepEqual(
    [0, 1, 5, 19, 20, 39, 40, 1000].map((machines) => removalsMost(machines, 0.05)),
    [1, 1, 1, 1, 1, 1, 2, 50],
  )
})

const leaving = (status: MigrationStatus, over: Partial<Server>, power: PowerState = "running") =>
  planMachines(
    "h1",
    [machine("a", power)],
    new Map([["a", server("a", { host: "h2", ...over })]]),
    new Map([["a", { status }]]),
  )

test("what was evacuated from the host goes, whatever the rows of others say of how many may", () => {
  const [gone] = leaving("done", {})
  assert.partialDeepStrictEqual(gone, { kind: "destroy", why: "evacuated", generation: 6 })
  assert.ok(gone && isDecided(gone) && isRemoval(gone))
  const [deleted] = leaving("done", { deletedAt: new Date(), taskState: "deleting" })
  assert.partialDeepStrictEqual(deleted, { kind: "destroy", why: "evacuated" })
  const [left] = planOf([machine("a")], [server("a", { host: "h2" })])
  assert.ok(left && !isDecided(left))
})

test("while it is made anew elsewhere it only ends: it may have to come back", () => {
  for (const power of ["running", "paused"] as const)
    assert.deepEqual(leaving("pre-migrating", { taskState: "rebuilding" }, power), [
      { kind: "stop", serverId: "a", generation: 5 },
    ])
  assert.deepEqual(leaving("pre-migrating", { taskState: "rebuilding" }, "shutdown"), [])
  // Before the rows say that it is elsewhere nothing is done to it.
  assert.deepEqual(leaving("pre-migrating", { taskState: "rebuilding", host: "h1" }), [])
})

test("one that has come back to the host since, or is on its way, is left alone", () => {
  assert.partialDeepStrictEqual(leaving("done", { host: "h1" }), [{ kind: "power" }])
  assert.deepEqual(leaving("done", { oldHost: "h1" }), [])
  assert.deepEqual(leaving("done", { taskState: "migrating" }), [])
  // A row that is not there decides nothing.
  const unknown = planMachines("h1", [machine("a")], new Map(), new Map([["a", { status: "done" }]]))
  assert.partialDeepStrictEqual(unknown, [{ kind: "unknown", serverId: "a" }])
})
