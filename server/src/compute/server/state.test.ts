import assert from "node:assert/strict"
import { test } from "node:test"
import { type ActionName, actionRules, refusalOf, type StateFacts, statesOf, statusOf } from "./state.ts"

const launched = new Date("2026-01-01T00:00:00Z")
const facts = (over: Partial<StateFacts>): StateFacts => ({
  vmState: "active",
  taskState: null,
  launchedAt: launched,
  lockedBy: null,
  ...over,
})
const may = (name: ActionName, over: Partial<StateFacts>, isAdmin = false) =>
  refusalOf(actionRules[name], facts(over), isAdmin)

test("what may be done in which state", () => {
  assert.equal(may("stop", {}), undefined)
  assert.equal(may("stop", { vmState: "error" }), undefined)
  assert.deepEqual(may("stop", { vmState: "stopped" }), {
    why: "state",
    attribute: "vm_state",
    state: "stopped",
  })
  assert.equal(may("start", { vmState: "stopped" }), undefined)
  assert.deepEqual(may("start", {}), { why: "state", attribute: "vm_state", state: "active" })
  assert.deepEqual(may("pause", { taskState: "rebooting" }), {
    why: "state",
    attribute: "task_state",
    state: "rebooting",
  })
  assert.equal(may("confirmResize", { vmState: "resized" }), undefined)
  assert.deepEqual(may("confirmResize", {}), { why: "state", attribute: "vm_state", state: "active" })
})

test("a hard reboot breaks into a soft one, a soft one into nothing", () => {
  assert.equal(may("rebootHard", { taskState: "rebooting" }), undefined)
  assert.deepEqual(may("rebootSoft", { taskState: "rebooting" })?.why, "state")
  assert.deepEqual(may("rebootHard", { taskState: "powering-off" })?.why, "state")
})

test("a server can be deleted in every state and during every task", () => {
  for (const vmState of ["building", "active", "error", "resized", "shelved"] as const)
    assert.equal(may("delete", { vmState, taskState: "spawning", launchedAt: null }), undefined)
})

test("a lock keeps users out and administrators not", () => {
  assert.deepEqual(may("delete", { lockedBy: "owner" }), { why: "locked" })
  assert.equal(may("delete", { lockedBy: "admin" }, true), undefined)
  assert.equal(may("createImage", { lockedBy: "owner" }), undefined)
})

test("what never ran cannot be stopped", () => {
  assert.deepEqual(may("stop", { vmState: "error", launchedAt: null }), { why: "not_launched" })
})

test("the status that users see", () => {
  assert.equal(statusOf("active", null), "ACTIVE")
  assert.equal(statusOf("active", "rebooting"), "REBOOT")
  assert.equal(statusOf("active", "rebooting_hard"), "HARD_REBOOT")
  assert.equal(statusOf("active", "powering-off"), "ACTIVE")
  assert.equal(statusOf("building", "spawning"), "BUILD")
  assert.equal(statusOf("stopped", "resize_migrating"), "RESIZE")
  assert.equal(statusOf("resized", null), "VERIFY_RESIZE")
  assert.equal(statusOf("resized", "resize_reverting"), "REVERT_RESIZE")
  assert.equal(statusOf("error", "rebuilding"), "REBUILD")
})

test("the states behind a status, for filters", () => {
  assert.deepEqual(statesOf(["ACTIVE"]), { vmStates: ["active"], taskStates: null })
  assert.deepEqual(statesOf(["shutoff"]), { vmStates: ["stopped"], taskStates: null })
  assert.deepEqual(statesOf(["REBOOT"]), { vmStates: ["active"], taskStates: ["rebooting"] })
  assert.equal(statesOf(["NO_SUCH"]), null)
})
