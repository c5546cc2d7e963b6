import assert from "node:assert/strict"
import { test } from "node:test"
import { vmStates } from "./server.ts"
import { type MoveFacts, percentOf, progressOf, standOf } from "./stand.ts"

const facts: MoveFacts = {
  ...{ id: "s1", name: "vm", host: "a", vmState: "active", taskState: null },
  migration: null,
}
type Row = NonNullable<MoveFacts["migration"]>
const row = (more: Partial<Row>): Row => ({
  ...{ number: 7, type: "migration", status: "finished", isOurs: true, sourceHost: "a", destHost: "b" },
  ...more,
})
const stand = (more: Partial<MoveFacts>, how: Partial<Parameters<typeof standOf>[1]> = {}) =>
  standOf({ ...facts, ...more }, { isUp: true, mayStop: false, ...how })

test("the way is by what the server is and has", () => {
  const goes = (way: string, orStops = false) => ({ is: "may_go", way, orStops })
  assert.deepEqual(stand({}), goes("live"))
  assert.deepEqual(stand({}, { mayStop: true }), goes("live", true))
  assert.deepEqual(stand({ vmState: "paused" }, { mayStop: true }), goes("live"))
  assert.deepEqual(stand({ vmState: "stopped" }, { mayStop: true }), goes("cold"))
})

test("in every other state it stays, with a reason of its own", () => {
  const words = vmStates.flatMap((vmState) => {
    const found = stand({ vmState }, { mayStop: true })
    return found.is === "stays" ? [found.why] : []
  })
  assert.equal(new Set(words).size, vmStates.length - 4, "active, paused, stopped go; no row is deleted")
  assert.equal(stand({ taskState: "rebooting" }).is, "stays")
  assert.equal(stand({ host: null }).is, "stays")
  assert.match(JSON.stringify(stand({}, { isUp: false })), /a does not answer/)
})

test("only what an operator's command began is followed and confirmed", () => {
  const waits = { vmState: "resized", host: "b" } as const
  assert.deepEqual(stand({ ...waits, migration: row({}) }), { is: "to_confirm", migration: 7 })
  assert.equal(stand({ ...waits, migration: row({ isOurs: false }) }).is, "stays")
  assert.equal(stand({ ...waits, taskState: "deleting", migration: row({}) }).is, "stays")
  const live = row({ type: "live-migration", status: "running" })
  const going = { taskState: "migrating", migration: live } as const
  assert.deepEqual(stand(going), { is: "on_way", way: "live", migration: 7 })
  assert.equal(stand({ ...going, migration: { ...live, isOurs: false } }).is, "stays")
  assert.equal(stand({ migration: row({ status: "error" }) }).is, "may_go")
})

test("how a move stands is by its row and the server's", () => {
  const progress = (status: Row["status"], more: Partial<MoveFacts> = {}) =>
    progressOf({ ...facts, ...more, migration: row({ status }) })
  const task = { taskState: "migrating" } as const
  for (const status of ["preparing", "running", "migrating"] as const) {
    assert.deepEqual(progress(status, task), { is: "on_way", to: "b", percent: null })
    assert.equal(progress(status).is, "failed", "nobody works on it any more")
  }
  assert.deepEqual(progress("finished", { vmState: "resized" }), { is: "to_confirm", to: "b" })
  assert.equal(progress("finished", { vmState: "error" }).is, "failed")
  for (const status of ["completed", "confirmed"] as const)
    assert.deepEqual(progress(status), { is: "moved", to: "b" })
  for (const status of ["cancelled", "reverting", "reverted", "error"] as const)
    assert.equal(progress(status).is, "failed")
  assert.deepEqual(progressOf(undefined), { is: "deleted" })
  assert.equal(progressOf(facts).is, "failed")
})

test("percent are of memory and disks together, by what is left", () => {
  const share = (totalBytes: number, remainingBytes: number) => ({
    ...{ totalBytes, remainingBytes, processedBytes: 0 },
  })
  assert.equal(percentOf({ memory: share(100, 100), disk: share(300, 100) }), 50)
  assert.equal(percentOf({ memory: share(0, 0), disk: share(0, 0) }), null)
  assert.equal(percentOf({ memory: share(100, 150), disk: share(0, 0) }), 0)
})
