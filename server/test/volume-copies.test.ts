// What is made of a volume has the data that the volume had when it was asked for, whatever comes to the volume while
// it is being made.
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { setTimeout as sleep } from "node:timers/promises"
import { sql } from "kysely"
import { eventually } from "../src/platform/clock/clock.ts"
import { transact } from "../src/platform/db/database.ts"
import { type ServerCloud, startServerCloud } from "./server-cloud.ts"
import { hasPool } from "./volume-cloud.ts"

let c: ServerCloud
before(async () => {
  c = await startServerCloud()
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

async function settled(kind: "volume" | "snapshot" | "backup", id: string): Promise<void> {
  await eventually(`${kind} to be available`, async () => {
    const found = (await ok("GET", `/${kind}s/${id}`))[kind]
    assert.ok(!found.status.startsWith("error"), JSON.stringify(found))
    return found.status === "available"
  })
}

async function makeVolume(words: string): Promise<string> {
  const { volume } = await ok("POST", "/volumes", { volume: { size: 1 } })
  await settled("volume", volume.id)
  c.cloud.volumes.write(volume.id, words)
  return volume.id
}

const takeSnapshot = async (volumeId: string): Promise<string> =>
  (await ok("POST", "/snapshots", { snapshot: { volume_id: volumeId } })).snapshot.id

const clone = async (volumeId: string): Promise<string> =>
  (await ok("POST", "/volumes", { volume: { source_volid: volumeId } })).volume.id

/** Meanwhile nothing gets room, so nothing is made. */
async function withoutRoom<T>(meanwhile: () => Promise<T>): Promise<T> {
  return await transact(c.cloud.database.db, async (tx) => {
    await sql`select from block_storage.pool for update`.execute(tx)
    return await meanwhile()
  })
}

/** Whoever would not wait is done by then. */
const aWhile = () => sleep(1_000)

test("a backup is restored over a volume when what is made of the volume is made", async () => {
  const id = await makeVolume("before")
  const { backup } = await ok("POST", "/backups", { backup: { volume_id: id } })
  await settled("backup", backup.id)
  c.cloud.volumes.write(id, "what was there")
  const snapshot = await withoutRoom(async () => {
    const made = await takeSnapshot(id)
    await ok("POST", `/backups/${backup.id}/restore`, { restore: { volume_id: id } })
    await aWhile()
    assert.equal(c.cloud.volumes.read(id), "what was there")
    return made
  })
  await settled("snapshot", snapshot)
  await settled("volume", id)
  assert.deepEqual(
    [snapshot, id].map((each) => c.cloud.volumes.read(each)),
    ["what was there", "before"],
  )
})

test("a volume gets the data of its snapshot back when what is made of the volume is made", async () => {
  const id = await makeVolume("before")
  const snapshot = await takeSnapshot(id)
  await settled("snapshot", snapshot)
  c.cloud.volumes.write(id, "what was there")
  const copy = await withoutRoom(async () => {
    const made = await clone(id)
    await ok("POST", `/volumes/${id}/action`, { revert: { snapshot_id: snapshot } })
    await aWhile()
    assert.equal(c.cloud.volumes.read(id), "what was there")
    return made
  })
  await settled("volume", copy)
  await settled("volume", id)
  assert.deepEqual(
    [copy, id].map((each) => c.cloud.volumes.read(each)),
    ["what was there", "before"],
  )
})

test("a volume is given away when what its giver keeps of it is made", async () => {
  const id = await makeVolume("the giver's")
  const offer = { transfer: { volume_id: id, no_snapshots: true } }
  for (const make of [takeSnapshot, clone]) {
    const made = await withoutRoom(async () => {
      const begun = await make(id)
      const { status, body } = await call("POST", "/volume-transfers", offer)
      assert.equal(status, 400, JSON.stringify(body))
      assert.match(body.badRequest.message, /being copied/)
      return begun
    })
    await settled(make === clone ? "volume" : "snapshot", made)
  }
  await ok("POST", "/volume-transfers", offer)
})
