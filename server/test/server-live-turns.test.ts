// Servers that leave a host while they run: only so many at a time, the others in order.
import assert from "node:assert/strict"
import { after, afterEach, before, test } from "node:test"
import { eventually } from "../src/platform/clock/clock.ts"
import { closeOtherHost, openOtherHost, otherHost } from "./other-host.ts"
import { type ServerCloud, startServerCloud } from "./server-cloud.ts"

let c: ServerCloud
before(async () => {
  c = await startServerCloud({ capacity: { vcpus: 64, ramMib: 8_192, diskGib: 1_000 } })
  await openOtherHost(c.cloud.cloud.platform)
})
after(() => c[Symbol.asyncDispose]())

const asAdmin = (version = "2.90") => ({ token: c.admin, version })
const made: string[] = []
afterEach(async () => {
  c.cloud.hypervisor.setControl({ copyMs: 0 })
  for (const id of made.splice(0)) {
    await c.call("DELETE", `/servers/${id}`, undefined, asAdmin())
    await c.isGone(id)
  }
})

/** On the cloud's own host; the first is on its way, and the others wait, until a copy takes less time. */
async function leaving(howMany: number): Promise<string[]> {
  await closeOtherHost(c.cloud.cloud.platform)
  const ids = await Promise.all(Array.from({ length: howMany }, () => c.create()))
  made.push(...ids)
  for (const id of ids) await c.reaches(id, "ACTIVE")
  await openOtherHost(c.cloud.cloud.platform)
  c.cloud.hypervisor.setControl({ copyMs: 600_000 })
  for (const [index, id] of ids.entries()) {
    const how = { host: null, block_migration: "auto" }
    assert.equal((await c.act(id, { "os-migrateLive": how }, asAdmin())).status, 202)
    await eventually("it to have its turn, or none", async () => {
      return (await statusOf(id)) === (index === 0 ? "running" : "queued")
    })
  }
  return ids
}

const newest = async (id: string) =>
  (await c.call("GET", `/os-migrations?instance_uuid=${id}`, undefined, asAdmin())).body.migrations[0]
const statusOf = async (id: string): Promise<string> => (await newest(id)).status
const statusesOf = (ids: string[]) => Promise.all(ids.map(statusOf))
const cancel = async (id: string, version?: string) =>
  c.call("DELETE", `/servers/${id}/migrations/${(await newest(id)).id}`, undefined, asAdmin(version))
const isOnItsWay = (id: string) =>
  eventually("its memory to be on the way", async () => {
    const { body } = await c.call("GET", `/servers/${id}/migrations`, undefined, asAdmin())
    return body.migrations[0]?.memory_total_bytes > 0
  })
const hostOf = async (id: string) => (await c.show(id, asAdmin()))["OS-EXT-SRV-ATTR:host"]

test("one at a time leaves a host, in the order in which they were asked for", async () => {
  const ids = await leaving(4)
  const shown = (await c.call("GET", `/servers/${ids[3]}/migrations`, undefined, asAdmin())).body
    .migrations[0]
  assert.deepEqual([shown.status, shown.memory_total_bytes, shown.dest_compute], ["queued", 0, null])
  c.cloud.hypervisor.setControl({ copyMs: 0 })
  const ended: string[] = []
  await eventually("all to be there", async () => {
    const statuses = await statusesOf(ids)
    assert.ok(statuses.filter((status) => status === "running").length <= 1, statuses.join(" "))
    for (const [index, id] of ids.entries())
      if (statuses[index] === "completed" && !ended.includes(id)) ended.push(id)
    return ended.length === ids.length
  })
  assert.deepEqual(ended, ids)
  for (const id of ids) assert.equal(await hostOf(id), otherHost)
})

test("one that waits is cancelled from 2.65 on, and stays as it is", async () => {
  const [first = "", second = "", third = ""] = await leaving(3)
  const early = await cancel(second, "2.64")
  assert.equal(early.status, 400)
  assert.match(JSON.stringify(early.body), /state of instance .* is queued/)
  const force = `/servers/${second}/migrations/${(await newest(second)).id}/action`
  assert.equal((await c.call("POST", force, { force_complete: null }, asAdmin())).status, 400)
  assert.equal((await cancel(second, "2.65")).status, 202)
  assert.equal((await c.reaches(second, "ACTIVE")).id, second)
  assert.deepEqual(await statusesOf([first, second, third]), ["running", "cancelled", "queued"])
  assert.notEqual(await hostOf(second), otherHost)
  // The one that is under way makes place as it is aborted.
  await isOnItsWay(first)
  assert.equal((await cancel(first)).status, 202)
  await isOnItsWay(third)
  assert.deepEqual(await statusesOf([first, third]), ["cancelled", "running"])
  assert.equal((await cancel(third)).status, 202)
  await c.reaches(third, "ACTIVE")
})

test("one whose server is reset or deleted while it waits keeps nobody from going", async () => {
  const [first = "", reset = "", deleted = "", last = ""] = await leaving(4)
  assert.equal((await c.act(reset, { "os-resetState": { state: "active" } }, asAdmin())).status, 202)
  await c.call("DELETE", `/servers/${deleted}`, undefined, asAdmin())
  await c.isGone(deleted)
  await isOnItsWay(first)
  assert.equal((await cancel(first)).status, 202)
  c.cloud.hypervisor.setControl({ copyMs: 0 })
  await eventually("the last one to be there", async () => (await statusOf(last)) === "completed")
  await eventually("the one that was reset to be over", async () => (await statusOf(reset)) === "error")
  assert.equal((await c.show(reset, asAdmin())).status, "ACTIVE")
  assert.notEqual(await hostOf(reset), otherHost)
})
