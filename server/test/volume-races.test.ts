// Volumes whose requests meet: what one of them has looked at, another one changes before it writes.
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { sql } from "kysely"
import { letGo } from "../src/block-storage/attachment/hold.ts"
import { getAttachment } from "../src/block-storage/attachment/read.ts"
import { reserveVolume, visibleVolume } from "../src/block-storage/index.ts"
import { removeLeftovers } from "../src/block-storage/leftover/leftovers.reconciler.ts"
import { eventually } from "../src/platform/clock/clock.ts"
import type { Ctx } from "../src/platform/context/context.ts"
import { type Tx, transact } from "../src/platform/db/database.ts"
import { newUuid } from "../src/platform/ids/ids.ts"
import { callerOf, contextOf } from "./saga-case.ts"
import { type ServerCloud, startServerCloud } from "./server-cloud.ts"
import { hasPool, makeVolume, volumeIs, volumeNow } from "./volume-cloud.ts"

let c: ServerCloud
let ctx: Ctx
before(async () => {
  c = await startServerCloud({ overrides: { "blockStorage.quota.volumes": -1 } })
  ctx = contextOf(c.cloud.cloud.platform, await callerOf(c))
  await hasPool(c)
})
after(() => c[Symbol.asyncDispose]())

// biome-ignore lint/suspicious/noExplicitAny: tests look where they like and fail when it is not there
type Body = any

async function call(method: string, path: string, body?: Body, token = c.demo) {
  return await c.cloud.request(method, `/volume/v3${path}`, {
    token,
    headers: { "openstack-api-version": "volume 3.70" },
    ...(body === undefined ? {} : { body }),
  })
}

async function ok(method: string, path: string, body?: Body, token = c.demo): Promise<Body> {
  const reply = await call(method, path, body, token)
  assert.ok(reply.status < 300, `${method} ${path}: ${reply.status} ${JSON.stringify(reply.body)}`)
  return reply.body
}

const act = (id: string, action: Body, token = c.admin, of = "volumes") =>
  ok("POST", `/${of}/${id}/action`, action, token)

const say = (id: string, status: string) => act(id, { "os-reset_status": { status } })

async function promisedGib(): Promise<number> {
  const pools = await c.cloud.database.db.selectFrom("block_storage.pool").select("promised_bytes").execute()
  return pools.reduce((sum, { promised_bytes: bytes }) => sum + Number(bytes), 0) / 1024 ** 3
}

/** `begin` waits for what `take` has taken, and goes on when `meanwhile` is over as well. */
async function meeting<T>(
  take: (tx: Tx) => Promise<unknown>,
  begin: () => Promise<T>,
  meanwhile: (tx: Tx) => Promise<unknown>,
): Promise<T> {
  const { db } = c.cloud.database
  const { begun } = await transact(db, async (tx) => {
    await take(tx)
    // Not waited for in here.
    const begun = begin()
    await eventually("somebody to wait", async () => {
      const { rows } = await sql`select from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock'`.execute(db)
      return rows.length > 0
    })
    await meanwhile(tx)
    return { begun }
  })
  return await begun
}

const takePool = (tx: Tx) => sql`select from block_storage.pool for update`.execute(tx)

async function sagasAreOver(): Promise<void> {
  await eventually("the sagas to end", async () => {
    const { rows } = await sql`select from engine.saga where ended_at is null`.execute(c.cloud.database.db)
    return rows.length === 0
  })
}

const isGone = (id: string) => eventually("it to be gone", async () => !(await volumeNow(c, id)))

async function bytesOf(id: string): Promise<number | undefined> {
  const there = await c.cloud.cloud.agent.agent.handle("volume.list", { backend: "fake" })
  return there.find(({ volumeId }) => volumeId === id)?.sizeBytes
}

const gib = 1024 ** 3

async function makeSnapshot(volumeId: string): Promise<string> {
  const { snapshot } = await ok("POST", "/snapshots", { snapshot: { volume_id: volumeId, force: true } })
  await eventually("the snapshot", async () => (await snapshotNow(snapshot.id))?.status === "available")
  return snapshot.id
}

const snapshotNow = async (id: string) => (await call("GET", `/snapshots/${id}`)).body.snapshot

async function makeServer(volumeId: string, more: object = {}): Promise<string> {
  const serverId = await c.create()
  await c.reaches(serverId, "ACTIVE")
  assert.equal((await attach(serverId, volumeId, more)).status, 200)
  await volumeIs(c, volumeId, "in-use")
  return serverId
}

async function attach(serverId: string, volumeId: string, more: object = {}) {
  const volumeAttachment = { volumeId, ...more }
  return await c.call("POST", `/servers/${serverId}/os-volume_attachments`, { volumeAttachment })
}

async function removeServer(serverId: string): Promise<void> {
  await c.call("DELETE", `/servers/${serverId}`)
  await c.isGone(serverId)
}

test("a volume whose status is set while its last step waits gives its room back once", async () => {
  const id = await makeVolume(c, ctx)
  const before = await promisedGib()
  await meeting(
    takePool,
    () => ok("DELETE", `/volumes/${id}`),
    () => say(id, "error"),
  )
  await sagasAreOver()
  assert.equal((await volumeNow(c, id))?.status, "error")
  assert.equal(await promisedGib(), before)
  await ok("DELETE", `/volumes/${id}`)
  await isGone(id)
  assert.equal(await promisedGib(), before - 1)
})

test("a snapshot that is forced away while it waits for room takes none", async () => {
  const id = await makeVolume(c, ctx)
  const before = await promisedGib()
  const taking = () => ok("POST", "/snapshots", { snapshot: { volume_id: id } })
  let snapshotId = ""
  await meeting(
    takePool,
    async () => (snapshotId = (await taking()).snapshot.id),
    async () => {
      await act(snapshotId, { "os-force_delete": {} }, c.admin, "snapshots")
      await eventually("it to be gone", async () => !(await snapshotNow(snapshotId)))
    },
  )
  await sagasAreOver()
  assert.equal(await promisedGib(), before)
  await ok("DELETE", `/volumes/${id}`)
  await isGone(id)
})

test("what an administrator calls available is attached to no second server, and not offered", async () => {
  const id = await makeVolume(c, ctx)
  const first = await makeServer(id)
  const second = await c.create()
  await c.reaches(second, "ACTIVE")
  await say(id, "available")
  const refused = await attach(second, id)
  assert.equal(refused.status, 400, JSON.stringify(refused.body))
  assert.match(refused.body.badRequest.message, /has an attachment already/)
  const offered = await call("POST", "/volume-transfers", { transfer: { volume_id: id } })
  assert.equal(offered.status, 400, JSON.stringify(offered.body))
  assert.match(offered.body.badRequest.message, /Invalid volume: status must be available/)
  const reserved = await call("POST", `/volumes/${id}/action`, { "os-reserve": null })
  assert.equal(reserved.status, 409, JSON.stringify(reserved.body))
  await removeServer(first)
  await volumeIs(c, id, "available")
  assert.equal((await attach(second, id)).status, 200)
  await removeServer(second)
})

for (const [name, request] of [
  ["the end of an attachment", (_id, held) => call("DELETE", `/attachments/${held}`)],
  ["its connection", (_id, held) => call("PUT", `/attachments/${held}`, connected)],
  ["its completion", (_id, held) => call("POST", `/attachments/${held}/action`, { "os-complete": null })],
  ["os-unreserve", (id) => call("POST", `/volumes/${id}/action`, { "os-unreserve": null })],
  ["os-detach", (id) => call("POST", `/volumes/${id}/action`, { "os-detach": {} })],
  ["os-force_detach", (id) => call("POST", `/volumes/${id}/action`, { "os-force_detach": {} }, c.admin)],
] as [string, (volumeId: string, attachmentId: string) => ReturnType<typeof call>][])
  test(`${name} takes no volume from the server that got it meanwhile`, async () => {
    const id = await makeVolume(c, ctx)
    const { attachment } = await ok("POST", "/attachments", { attachment: { volume_uuid: id } })
    const held = await getAttachment(ctx, { id: attachment.id })
    const { projectId } = await visibleVolume(ctx, id)
    const { status, body } = await meeting(
      (tx) => letGo(ctx, tx, held),
      () => request(id, held.id),
      (tx) => reserveVolume(ctx, tx, { volumeId: id, serverId: newUuid(), projectId, device: null }),
    )
    assert.equal(status, 409, JSON.stringify(body))
    assert.equal((await volumeNow(c, id))?.status, "reserved")
  })
const connected = { attachment: { connector: { host: "metal1" } } }

async function whileItGrows(id: string, meanwhile: () => Promise<unknown>): Promise<void> {
  c.cloud.volumes.setControl({ delayMs: 600_000 })
  await act(id, { "os-extend": { new_size: 2 } })
  await eventually("it to grow", () => c.cloud.volumes.underWay > 0)
  await meanwhile()
  assert.equal(await bytesOf(id), gib, "it has not grown yet")
  c.cloud.volumes.setControl({ delayMs: 0 })
}

test("a volume that grows while its server is deleted has grown, and is nobody's", async () => {
  const id = await makeVolume(c, ctx)
  const serverId = await makeServer(id)
  await whileItGrows(id, () => removeServer(serverId))
  assert.equal((await volumeNow(c, id))?.status, "extending")
  await sagasAreOver()
  const volume = await volumeNow(c, id)
  assert.deepEqual([volume?.status, volume?.sizeGib, await bytesOf(id)], ["available", 2, 2 * gib])
})

test("what is to go with its server goes also while it grows, and when it could not", async () => {
  for (const meanwhile of ["extending", "error_extending"]) {
    const id = await makeVolume(c, ctx)
    const serverId = await makeServer(id, { delete_on_termination: true })
    const remove = () => removeServer(serverId)
    if (meanwhile === "extending") await whileItGrows(id, remove)
    else {
      await say(id, meanwhile)
      await remove()
    }
    await isGone(id)
    await sagasAreOver()
    assert.equal(await bytesOf(id), undefined)
  }
})

test("a volume grows when what is made of it is made", async () => {
  const id = await makeVolume(c, ctx)
  const snapshotId = await makeSnapshot(id)
  const { db } = c.cloud.database
  const call = (status: string) =>
    db.updateTable("block_storage.snapshot").set({ status }).where("id", "=", snapshotId).execute()
  await call("creating")
  await act(id, { "os-extend": { new_size: 2 } })
  await eventually("its room", async () => (await volumeNow(c, id))?.sizeGib === 2)
  assert.equal(await bytesOf(id), gib)
  await call("available")
  await volumeIs(c, id, "available")
  assert.equal(await bytesOf(id), 2 * gib)
})

test("a volume does not get the data of a snapshot that goes, and a snapshot whose data it gets stays", async () => {
  const id = await makeVolume(c, ctx)
  const snapshotId = await makeSnapshot(id)
  const going = (tx: Tx, status: string) =>
    tx.updateTable("block_storage.snapshot").set({ status }).where("id", "=", snapshotId).execute()
  const { status, body } = await meeting(
    (tx) => going(tx, "deleting"),
    () => call("POST", `/volumes/${id}/action`, { revert: { snapshot_id: snapshotId } }),
    async () => {},
  )
  assert.equal(status, 400, JSON.stringify(body))
  assert.equal((await volumeNow(c, id))?.status, "available")
  await transact(c.cloud.database.db, (tx) => going(tx, "available"))
  await say(id, "reverting")
  assert.equal((await call("DELETE", `/snapshots/${snapshotId}`)).status, 400)
})

test("an offer can be withdrawn whatever its volume is said to be", async () => {
  const id = await makeVolume(c, ctx)
  const { transfer } = await ok("POST", "/volume-transfers", { transfer: { volume_id: id } })
  await say(id, "error")
  await ok("DELETE", `/volume-transfers/${transfer.id}`)
  assert.equal((await volumeNow(c, id))?.status, "error")
})

test("data that were made in a task whose end did not reach the host go when it is back", async () => {
  const id = await makeVolume(c, ctx)
  const { db } = c.cloud.database
  const row = await db
    .deleteFrom("block_storage.volume")
    .where("id", "=", id)
    .returningAll()
    .executeTakeFirst()
  const { host, backend, generation } = row ?? assert.fail("no row")
  await db
    .insertInto("block_storage.leftover")
    .values({ volume_id: id, host: host ?? "", backend: backend ?? "", generation })
    .execute()
  const status = await removeLeftovers(c.cloud.cloud.platform, AbortSignal.timeout(240_000))
  assert.deepEqual(status, { removed: 1, failed: 0 })
  assert.equal(await bytesOf(id), undefined)
})

test("volumes that grow at once grow no further than the quota", async () => {
  const ids = await Promise.all([1, 2, 3, 4].map(() => makeVolume(c, ctx)))
  const { projectId } = await visibleVolume(ctx, ids[0] ?? "")
  const quota = `/os-quota-sets/${projectId}`
  const used = async () =>
    (await ok("GET", `${quota}?usage=True`, undefined, c.admin)).quota_set.gigabytes.in_use
  const gigabytes = (await used()) + 3
  await ok("PUT", quota, { quota_set: { gigabytes } }, c.admin)
  const grown = await Promise.all(
    ids.map((id) => call("POST", `/volumes/${id}/action`, { "os-extend": { new_size: 2 } })),
  )
  assert.deepEqual(grown.map(({ status }) => status).sort(), [202, 202, 202, 413])
  await sagasAreOver()
  assert.equal(await used(), gigabytes)
  await ok("DELETE", quota, undefined, c.admin)
})

test("a volume is copied, kept and made larger at once, and nobody waits in a circle", async () => {
  const id = await makeVolume(c, ctx)
  const deadlocks = async () => {
    await sql`select pg_stat_clear_snapshot()`.execute(c.cloud.database.db)
    const { rows } = await sql<{ deadlocks: number }>`select deadlocks::int from pg_stat_database
      where datname = current_database()`.execute(c.cloud.database.db)
    return rows[0]?.deadlocks
  }
  const before = await deadlocks()
  const replies = await Promise.all(
    Array.from({ length: 24 }, (_, n) => {
      if (n % 3 === 0) return call("POST", "/volumes", { volume: { source_volid: id } })
      if (n % 3 === 1) return call("POST", "/snapshots", { snapshot: { volume_id: id } })
      return call("POST", `/volumes/${id}/action`, { "os-extend": { new_size: n } })
    }),
  )
  for (const { status, body } of replies) assert.ok([202, 400].includes(status), JSON.stringify(body))
  await sagasAreOver()
  assert.equal(await deadlocks(), before)
})

test("what has no data is called available by nobody", async () => {
  const wish = { name: "nowhere", extra_specs: { volume_backend_name: "gold" } }
  await ok("POST", "/types", { volume_type: wish }, c.admin)
  const { volume } = await ok("POST", "/volumes", { volume: { size: 1, volume_type: "nowhere" } })
  await volumeIs(c, volume.id, "error")
  for (const status of ["available", "in-use"]) {
    const reset = { "os-reset_status": { status } }
    const refused = await call("POST", `/volumes/${volume.id}/action`, reset, c.admin)
    assert.deepEqual([refused.status, /has no data/.test(refused.body.badRequest.message)], [400, true])
  }
  assert.equal((await volumeNow(c, volume.id))?.status, "error")
})

test("a volume that was given away takes no snapshots of its giver with it", async () => {
  const id = await makeVolume(c, ctx)
  const snapshotId = await makeSnapshot(id)
  const wish = { volume_id: id, no_snapshots: true }
  const { transfer } = await ok("POST", "/volume-transfers", { transfer: wish })
  const accept = { auth_key: transfer.auth_key }
  await ok("POST", `/volume-transfers/${transfer.id}/accept`, { accept }, c.admin)
  const refused = await call("DELETE", `/volumes/${id}?cascade=true`, undefined, c.admin)
  assert.equal(refused.status, 400)
  assert.match(refused.body.badRequest.message, /snapshots of another project/)
  assert.equal((await snapshotNow(snapshotId)).status, "available")
  await ok("DELETE", `/snapshots/${snapshotId}`)
  await eventually("it to be gone", async () => !(await snapshotNow(snapshotId)))
  await ok("DELETE", `/volumes/${id}?cascade=true`, undefined, c.admin)
  await isGone(id)
})

test("of a snapshot that is taken out of the cloud and its volume that goes with its snapshots one comes first", async () => {
  const id = await makeVolume(c, ctx)
  const first = await makeSnapshot(id)
  c.cloud.volumes.setControl({ delayMs: 600_000 })
  await act(first, { "os-unmanage": {} }, c.admin, "snapshots")
  const refused = await call("DELETE", `/volumes/${id}?cascade=true`)
  c.cloud.volumes.setControl({ delayMs: 0 })
  assert.deepEqual([refused.status, /on its way/.test(refused.body.badRequest?.message)], [400, true])
  await sagasAreOver()
  const second = await makeSnapshot(id)
  c.cloud.volumes.setControl({ delayMs: 600_000 })
  await ok("DELETE", `/volumes/${id}?cascade=true`)
  assert.equal((await snapshotNow(second)).status, "deleting")
  const unmanage = await call("POST", `/snapshots/${second}/action`, { "os-unmanage": {} }, c.admin)
  assert.equal(unmanage.status, 400, JSON.stringify(unmanage.body))
  assert.equal((await call("POST", "/volumes", { volume: { snapshot_id: second } })).status, 400)
  // Whatever it is in, the snapshots go with it.
  await ok("DELETE", `/volumes/${id}?cascade=true&force=true`, undefined, c.admin)
  c.cloud.volumes.setControl({ delayMs: 0 })
  await isGone(id)
  await sagasAreOver()
  assert.equal(await bytesOf(second), undefined)
})
