import assert from "node:assert/strict"
import { test } from "node:test"
import { syncedState } from "./power-sync.ts"

const active = { vmState: "active", taskState: null, powerState: 1 } as const

test("a guest that went away shows as shut off", () => {
  for (const power of ["shutdown", "crashed", "absent"] as const)
    assert.equal(syncedState(active, power)?.vmState, "stopped")
  assert.deepEqual(syncedState(active, "shutdown"), { vmState: "stopped", powerState: 4 })
})

test("a guest that runs or is paused shows so", () => {
  assert.equal(syncedState(active, "running"), undefined)
  assert.deepEqual(syncedState(active, "paused"), { vmState: "paused", powerState: 3 })
  assert.deepEqual(syncedState({ ...active, vmState: "stopped", powerState: 4 }, "running"), {
    vmState: "active",
    powerState: 1,
  })
})

test("while a task works on the server it decides", () => {
  assert.equal(syncedState({ ...active, taskState: "rebooting" }, "shutdown"), undefined)
})

test("a resized or broken server stays what it is", () => {
  assert.deepEqual(syncedState({ ...active, vmState: "resized" }, "shutdown"), {
    vmState: "resized",
    powerState: 4,
  })
  assert.equal(syncedState({ ...active, vmState: "error" }, "running"), undefined)
})
