// Servers that are deleted for a while: they are switched off, count no more, come back whole, and go in the end.
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { sql } from "kysely"
import { reclaimServers } from "../src/compute/server/reclaim.reconciler.ts"
import { type ServerCloud, startServerCloud } from "./server-cloud.ts"

let c: ServerCloud
before(async () => {
  c = await startServerCloud({ overrides: { "compute.reclaimIntervalMs": 3_600_000 } })
})
after(async () => await c[Symbol.asyncDispose]())

const asAdmin = () => ({ token: c.admin })
const listed = async (query = "", how = {}) =>
  (await c.call("GET", `/servers${query}`, undefined, how)).body.servers.map((s: { id: string }) => s.id)
const used = async () => (await c.call("GET", "/limits")).body.limits.absolute.totalInstancesUsed

async function softDeleted(): Promise<string> {
  const id = await c.create()
  await c.reaches(id, "ACTIVE")
  assert.equal((await c.call("DELETE", `/servers/${id}`)).status, 204)
  await c.reaches(id, "SOFT_DELETED")
  return id
}

test("a deleted server is off and out of the way, and comes back as it was", async () => {
  const before = await used()
  const id = await softDeleted()
  assert.deepEqual(await listed(), [])
  assert.deepEqual(await listed("?all_tenants=1", asAdmin()), [])
  assert.deepEqual(await listed("?all_tenants=1&soft_deleted=1", asAdmin()), [id])
  assert.deepEqual(await listed("?all_tenants=1&deleted=1", asAdmin()), [id])
  assert.deepEqual(await listed("?all_tenants=1&deleted=1&soft_deleted=0", asAdmin()), [])
  assert.equal(await used(), before)
  const { addresses } = await c.show(id)
  assert.equal((await c.call("DELETE", `/servers/${id}`)).status, 204)
  assert.equal((await c.act(id, { "os-start": null })).status, 409)
  assert.equal((await c.act(id, { restore: null })).status, 202)
  await c.reaches(id, "ACTIVE")
  assert.deepEqual((await c.show(id)).addresses, addresses)
  assert.deepEqual(await listed(), [id])
  assert.equal(await used(), before + 1)
  assert.equal((await c.act(id, { restore: null })).status, 409)
  assert.equal((await c.act(id, { forceDelete: null })).status, 202)
  await c.isGone(id)
})

test("there must be room for one that is restored", async () => {
  const id = await softDeleted()
  const { tenant_id } = await c.show(id)
  const limit = (instances: number) =>
    c.call("PUT", `/os-quota-sets/${tenant_id}`, { quota_set: { instances } }, asAdmin())
  await limit(0)
  assert.equal((await c.act(id, { restore: null })).status, 403)
  assert.equal((await c.show(id)).status, "SOFT_DELETED")
  // It counts itself once.
  await limit(1)
  assert.equal((await c.act(id, { restore: null })).status, 202)
  await c.reaches(id, "ACTIVE")
  await c.act(id, { forceDelete: null })
  await c.isGone(id)
  await limit(10)
})

test("a new size that nobody has confirmed still waits for that", async () => {
  const id = await c.create()
  await c.reaches(id, "ACTIVE")
  await c.act(id, { resize: { flavorRef: "1" } })
  await c.reaches(id, "VERIFY_RESIZE")
  await c.call("DELETE", `/servers/${id}`)
  await c.reaches(id, "SOFT_DELETED")
  await c.act(id, { restore: null })
  await c.reaches(id, "VERIFY_RESIZE")
  await c.act(id, { forceDelete: null })
  await c.isGone(id)
})

test("it goes when its while is over, with all that it had", async () => {
  const [young, old] = [await softDeleted(), await softDeleted()]
  const { db } = c.cloud.database
  await sql`update compute.server set soft_deleted_at = now() - interval '2 hours' where id = ${old}`.execute(
    db,
  )
  const status = await reclaimServers(c.cloud.cloud.platform, AbortSignal.timeout(240_000))
  assert.deepEqual(status, { reclaimed: 1, failed: 0 })
  await c.isGone(old)
  assert.equal((await c.show(young)).status, "SOFT_DELETED")
  await c.act(young, { forceDelete: null })
  await c.isGone(young)
  const { rows } = await sql`select from placement.allocation`.execute(db)
  assert.equal(rows.length, 0)
})

test("what never ran goes at once", async () => {
  c.cloud.hypervisor.setControl({ fail: { operation: "ensure", at: 1, times: 100 } })
  const id = await c.create()
  await c.reaches(id, "ERROR")
  c.cloud.hypervisor.setControl({ fail: null })
  assert.equal((await c.call("DELETE", `/servers/${id}`)).status, 204)
  await c.isGone(id)
})
