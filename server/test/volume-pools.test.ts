// The back ends that hosts say they have: how many are kept, which are forgotten, and which a new volume looks at.
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import type { VolumePool } from "../src/agent/protocol.ts"
import { notePools } from "../src/block-storage/index.ts"
import { callerOf, contextOf } from "./saga-case.ts"
import { type ServerCloud, startServerCloud } from "./server-cloud.ts"
import { makeVolume, volumeIs, volumeNow } from "./volume-cloud.ts"

let c: ServerCloud
before(async () => {
  c = await startServerCloud()
})
after(() => c[Symbol.asyncDispose]())

// biome-ignore lint/suspicious/noExplicitAny: tests look where they like and fail when it is not there
type Body = any

async function ok(method: string, path: string, body?: Body, token = c.admin): Promise<Body> {
  const reply = await c.cloud.request(method, `/volume/v3${path}`, {
    token,
    headers: { "openstack-api-version": "volume 3.70" },
    ...(body === undefined ? {} : { body }),
  })
  assert.ok(reply.status < 300, `${method} ${path}: ${reply.status} ${JSON.stringify(reply.body)}`)
  return reply.body
}

const abilities: VolumePool["abilities"] = { thinProvisioning: true, onlineExtend: true, shared: false }
const poolOf = (backend: string): VolumePool => ({
  ...{ backend, totalBytes: 2 ** 40, freeBytes: 2 ** 40, abilities },
})

const report = (host: string, backends: readonly string[]) =>
  notePools(c.cloud.cloud.platform, [{ host, pools: backends.map(poolOf) }])

async function backendsOf(host: string): Promise<string[]> {
  const { pools } = await ok("GET", "/scheduler-stats/get_pools")
  return pools
    .map((pool: Body) => /^(.*)@(.*)#/.exec(pool.name)?.slice(1) ?? [])
    .flatMap(([of, backend]: string[]) => (of === host ? [backend] : []))
}

const many = (prefix: string) =>
  Array.from({ length: 64 }, (_, n) => `${prefix}${String(n).padStart(2, "0")}`)

test("a host that says something else each time has so many back ends and no more", async () => {
  for (let n = 0; n < 20; n++) {
    await report("liar", many(`r${n}-`))
    assert.ok((await backendsOf("liar")).length <= 64)
  }
  await report("liar", many("last"))
  await report("liar", many("last"))
  assert.deepEqual((await backendsOf("liar")).sort(), many("last"))
  await report("liar", [])
  assert.deepEqual(await backendsOf("liar"), [])
})

test("a back end that is left out stays while something is there, or an administrator has said something of it", async () => {
  const { db } = c.cloud.database
  const names = ["disabled", "empty", "promised", "full"]
  await report("host9", names)
  await ok("PUT", "/os-services/disable", { host: "host9@disabled", binary: "cinder-volume" })
  const ctx = contextOf(c.cloud.cloud.platform, await callerOf(c))
  const volumeId = await makeVolume(c, ctx)
  const { host, backend } = (await volumeNow(c, volumeId)) ?? assert.fail("no volume")
  const lies = (at: { host: string | null; backend: string | null }) =>
    db.updateTable("block_storage.volume").set(at).where("id", "=", volumeId).execute()
  await lies({ host: "host9", backend: "full" })
  const promised = (bytes: number) =>
    db
      .updateTable("block_storage.pool")
      .set({ promised_bytes: bytes })
      .where("name", "=", "host9@promised")
      .execute()
  await promised(1)
  await report("host9", ["new"])
  assert.deepEqual((await backendsOf("host9")).sort(), ["disabled", "full", "new", "promised"])
  await lies({ host, backend })
  await promised(0)
  await ok("PUT", "/os-services/enable", { host: "host9@disabled", binary: "cinder-volume" })
  // Of a report without any nothing is known.
  await notePools(c.cloud.cloud.platform, [])
  assert.equal((await backendsOf("host9")).length, 4)
  await report("host9", ["new"])
  assert.deepEqual(await backendsOf("host9"), ["new"])
  await report("host9", [])
})

test("a new volume does not look at back ends whose hosts are silent, and says how many they are", async () => {
  await report("silent", ["a", "b"])
  const { db } = c.cloud.database
  await db
    .updateTable("block_storage.pool")
    .set({ reported_at: new Date(0) })
    .where("host", "=", "silent")
    .execute()
  const nowhere = { name: "nowhere", extra_specs: { volume_backend_name: "gold" } }
  await ok("POST", "/types", { volume_type: nowhere })
  const { volume } = await ok("POST", "/volumes", { volume: { size: 1, volume_type: "nowhere" } })
  const { problem } = await volumeIs(c, volume.id, "error")
  assert.equal(
    problem,
    "No valid backend was found. 1 has not what the volume type asks for. 2 have not a host that answers.",
  )
})
