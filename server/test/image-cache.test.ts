// Glance's cache API over the caches of hosts: two agents with real caches, whose machines are simulated.
import assert from "node:assert/strict"
import { cp, mkdtemp, readdir, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, before, test } from "node:test"
import { sql } from "kysely"
import type { CommandName } from "../src/agent/agent.ts"
import { createImageCache } from "../src/agent/image-cache/image-cache.ts"
import { agentDirectories } from "../src/agent/machine-store.ts"
import { agentTopic } from "../src/agent/protocol.ts"
import { exampleSpec } from "../src/agent/testing/example-spec.ts"
import { type FakeAgent, openFakeAgent } from "../src/agent/testing/fake-agent.ts"
import { sendToAgent } from "../src/engine/agent-call.ts"
import { newFernetKeyText } from "../src/identity/keys/fernet.ts"
import { createKeyRing } from "../src/identity/keys/key-ring.ts"
import { cacheImagesOnHosts, noteCacheHosts } from "../src/image/index.ts"
import { imageService } from "../src/image/service.ts"
import { localImageStore } from "../src/local-image-store.ts"
import { eventually, systemClock } from "../src/platform/clock/clock.ts"
import { newUuid } from "../src/platform/ids/ids.ts"
import { silentLogger } from "../src/platform/log/log.ts"
import { type ServiceCloud, startServices } from "./service-cloud.ts"

let cloud: ServiceCloud
let dir: string
let begunAt: number
const agents: FakeAgent[] = []
const ends = new AsyncDisposableStack()
before(async () => {
  begunAt = Date.now() / 1000
  dir = await mkdtemp(join(tmpdir(), "kumoi-cache-"))
  cloud = await startServices({ services: [imageService] })
  sealTickets()
  for (const host of ["host1", "host2"]) agents.push(await startAgent(host))
  await noteCacheHosts(cloud.platform, ["host1", "host2"])
})
after(async () => {
  await ends.disposeAsync()
  await cloud[Symbol.asyncDispose]()
  await rm(dir, { recursive: true, force: true })
})

/** Under a key as identity has them. */
function sealTickets(): void {
  const credentialKeys = createKeyRing(systemClock, async () => {})
  const at = new Date()
  credentialKeys.load([
    { ring: "credential", number: 1, text: newFernetKeyText(), createdAt: at, primaryAt: at },
  ])
  Object.assign(cloud.platform.drivers, { identity: { credentialKeys } })
}

async function startAgent(host: string, limitBytes = 8 * 1024 ** 2): Promise<FakeAgent> {
  const { platform } = cloud
  const dataDir = join(dir, host)
  const source = localImageStore({ ...platform, config: { ...platform.config, host } })
  const directory = agentDirectories(dataDir).images
  const common = { clock: systemClock, log: silentLogger }
  const images = createImageCache({ dir: directory, source, limitBytes, ...common })
  const made = await openFakeAgent({ dataDir, plugged: new Set(), images })
  ends.defer(() => made.agent.release())
  // Both sides of the bus import the protocol.
  const handle = (method: string, args: unknown) => made.agent.handle(method as CommandName, args as never)
  ends.use(await platform.bus.serve(agentTopic(host), handle))
  return made
}

const images = "/image/v2/images"
const cache = "/image/v2/cache"
const request = (method: string, path: string, body?: unknown, as = "admin:admin", headers = {}) =>
  cloud.request(method, path, { as, body, headers })

async function withData(data: string | Buffer, attributes: object = {}): Promise<string> {
  const body = { name: "i", disk_format: "raw", container_format: "bare", ...attributes }
  const { id } = (await request("POST", images, body)).body
  const put = await request("PUT", `${images}/${id}/file`, Buffer.from(data))
  assert.equal(put.status, 204, JSON.stringify(put.body))
  return id
}

const state = async () => (await request("GET", cache)).body
const cachedIds = async () =>
  (await state()).cached_images.map((each: { image_id: string }) => each.image_id).sort()
const filesOf = async (host: string) =>
  (await readdir(agentDirectories(join(dir, host)).images)).filter((name) => !name.endsWith(".json"))

async function queued(id: string): Promise<void> {
  const { status, body } = await request("PUT", `${cache}/${id}`)
  assert.equal(status, 202, JSON.stringify(body))
  await eventually("the queue to be empty", async () => (await state()).queued_images.length === 0)
}

async function checksumOf(id: string): Promise<string> {
  return (await request("GET", `${images}/${id}`)).body.checksum
}

test("a queued image comes to every host, and the cache tells what it is", async () => {
  const data = Buffer.alloc(100_000, "cached")
  const id = await withData(data)
  await queued(id)
  for (const host of ["host1", "host2"]) assert.equal((await filesOf(host)).length, 1)
  const [told, ...others] = (await state()).cached_images
  assert.deepEqual([told.image_id, told.hits, others], [id, 0, []])
  assert.ok(told.size >= data.length && told.size < 2 * data.length, String(told.size))
  assert.ok(told.last_modified >= begunAt - 1 && told.last_accessed >= told.last_modified)
  await queued(id)
  assert.equal((await state()).cached_images[0].hits, 2, "once on each host")
  assert.equal((await request("DELETE", `${cache}/${id}`)).status, 204)
  assert.deepEqual(await cachedIds(), [])
  for (const host of ["host1", "host2"]) assert.deepEqual(await filesOf(host), [])
  assert.equal((await request("DELETE", `${cache}/${id}`)).status, 204, "once more")
})

test("another service has an image brought to some hosts only, of which those that do not live go without", async () => {
  const id = await withData("for one rack")
  await cacheImagesOnHosts(cloud.ctx("admin:admin"), { imageIds: [id], hosts: ["host2", "host9"] })
  await eventually("the queue to be empty", async () => (await state()).queued_images.length === 0)
  assert.deepEqual(
    await Promise.all(["host1", "host2"].map(async (host) => (await filesOf(host)).length)),
    [0, 1],
  )
  assert.equal((await request("DELETE", `${cache}/${id}`)).status, 204)
})

test("it is an administrator's, and refuses what it cannot cache", async () => {
  const id = await withData("x")
  for (const [method, path] of [
    ["GET", cache],
    ["DELETE", cache],
  ] as const)
    assert.equal((await request(method, path, undefined, "p1")).status, 403)
  for (const method of ["PUT", "DELETE"]) {
    assert.equal((await request(method, `${cache}/${id}`, undefined, "p1")).status, 404, "another project's")
    const own = (await request("POST", images, { name: "mine" }, "p1")).body.id
    assert.equal((await request(method, `${cache}/${own}`, undefined, "p1")).status, 403)
    for (const unknown of [newUuid(), "no-id"])
      assert.equal((await request(method, `${cache}/${unknown}`)).status, 404)
  }
  const empty = (await request("POST", images, { name: "empty" })).body.id
  const refused = await request("PUT", `${cache}/${empty}`)
  assert.equal(refused.status, 400)
  assert.match(JSON.stringify(refused.body), /status active/)
  assert.equal((await request("DELETE", `${cache}/${empty}`)).status, 204)
  const broken = Buffer.alloc(600)
  broken.write("vhdxfile")
  const wrong = await withData(broken, { disk_format: "vhdx" })
  assert.equal((await request("PUT", `${cache}/${wrong}`)).status, 400, "no machine boots it")
  const target = { "x-image-cache-clear-target": "everything" }
  assert.equal((await request("DELETE", cache, undefined, "admin:admin", target)).status, 400)
})

test("images of the same data are in the cache together, and a deleted one is not", async () => {
  const ids = [await withData("the same"), await withData("the same")]
  await queued(ids[0] ?? "")
  assert.deepEqual(await cachedIds(), [...ids].sort())
  assert.equal((await request("DELETE", `${images}/${ids[0]}`)).status, 204)
  assert.deepEqual(await cachedIds(), [ids[1]])
  assert.equal((await request("DELETE", `${cache}/${ids[1]}`)).status, 204)
  assert.deepEqual(await cachedIds(), [])
})

test("what a machine stands on stays, and that is said", async () => {
  const id = await withData("a machine's disk")
  await queued(id)
  const spec = { ...exampleSpec(newUuid()), vifs: [], kernelImage: null, ramdiskImage: null }
  const source = { kind: "image" as const, imageId: id, checksum: await checksumOf(id), diskFormat: "raw" }
  const disks = [{ name: "root", source, sizeBytes: 1024 ** 2, bus: "virtio", bootIndex: 0 }]
  const fence = { generation: 1, fence: 1 }
  await agents[0]?.agent.handle("vm.ensure", { spec: { ...spec, disks }, power: "running", fence })
  const refused = await request("DELETE", `${cache}/${id}`)
  assert.equal(refused.status, 409)
  assert.match(JSON.stringify(refused.body), /cache of 1 host\b/)
  assert.deepEqual([await cachedIds(), (await filesOf("host2")).length], [[id], 0])
  assert.equal((await request("DELETE", cache)).status, 204)
  assert.deepEqual(await cachedIds(), [id])
  await agents[0]?.agent.handle("vm.destroy", { serverId: spec.serverId, fence: { generation: 2, fence: 1 } })
  const target = { "x-image-cache-clear-target": "queue" }
  assert.equal((await request("DELETE", cache, undefined, "admin:admin", target)).status, 204)
  assert.deepEqual(await cachedIds(), [id], "the queue only")
  assert.equal((await request("DELETE", cache)).status, 204)
  assert.deepEqual(await cachedIds(), [])
})

test("a host that does not answer keeps no image from the others", async () => {
  await noteCacheHosts(cloud.platform, ["host3"])
  const id = await withData("for those that live")
  await queued(id)
  assert.deepEqual(await cachedIds(), [id])
  assert.equal((await request("DELETE", `${cache}/${id}`)).status, 204)
})

test("an image that no cache has room for is cached nowhere, and the queue goes on", async () => {
  const large = await withData(Buffer.alloc(9 * 1024 ** 2, 1))
  await queued(large)
  assert.deepEqual(await cachedIds(), [])
})

test("an image that is deleted while it is queued is not found", async () => {
  const id = await withData("deleted meanwhile")
  const { db } = cloud.platform
  const { answer } = await db.transaction().execute(async (tx) => {
    await tx.deleteFrom("image.image").where("id", "=", id).execute()
    const answer = request("PUT", `${cache}/${id}`)
    await eventually("the request to wait for the row", async () => {
      const { rows } = await sql`select from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock'`.execute(db)
      return rows.length > 0
    })
    return { answer }
  })
  assert.equal((await answer).status, 404)
})

test("a command that comes late does nothing", async () => {
  const id = await withData("late")
  await queued(id)
  assert.equal((await request("DELETE", `${cache}/${id}`)).status, 204)
  const [checksum, fence] = [await checksumOf(id), { generation: 1, fence: 9 }]
  const args = { imageId: id, checksum, diskFormat: "raw", ticket: "", fence }
  const late = sendToAgent(cloud.platform, "host1", "image.cache", args, { timeoutMs: 240_000 })
  await assert.rejects(late, { code: "agent.fence.stale" })
  assert.deepEqual(await cachedIds(), [])
})

const nodesOf = async (id: string) => (await request("GET", `${cache}/nodes/${id}`)).body

test("it is said which hosts have an image", async () => {
  const id = await withData("on both")
  assert.deepEqual(await nodesOf(id), [])
  await queued(id)
  assert.deepEqual(await nodesOf(id), ["host1", "host2"])
  const data = { checksum: await checksumOf(id), diskFormat: "raw" }
  await agents[1]?.agent.handle("image.prune", { data: [data] })
  assert.deepEqual(await nodesOf(id), ["host1"])
  const empty = (await request("POST", images, { name: "empty" })).body.id
  assert.deepEqual(await nodesOf(empty), [])
  const own = (await request("POST", images, { name: "mine" }, "p1")).body.id
  assert.equal((await request("GET", `${cache}/nodes/${own}`, undefined, "p1")).status, 403)
  assert.equal((await request("GET", `${cache}/nodes/${id}`, undefined, "p1")).status, 404)
  assert.equal((await request("DELETE", `${cache}/${id}`)).status, 204)
})

test("data of deleted images are cleaned away, and those of others stay", async () => {
  const [kept, gone] = [await withData("kept"), await withData("gone")]
  for (const id of [kept, gone]) await queued(id)
  assert.equal((await request("DELETE", `${images}/${gone}`)).status, 204)
  assert.equal((await filesOf("host1")).length, 2)
  assert.deepEqual(await pruned(), { total_files_pruned: 0, total_bytes_pruned: 0 }, "within its limit")
  assert.equal((await filesOf("host1")).length, 2)
  for (const path of ["clean", "prune"])
    assert.equal((await request("POST", `${cache}/${path}`, undefined, "p1")).status, 403)
  const cleaned = await request("POST", `${cache}/clean`)
  assert.deepEqual([cleaned.status, cleaned.body], [200, ""])
  for (const host of ["host1", "host2"]) assert.equal((await filesOf(host)).length, 1)
  assert.deepEqual(await cachedIds(), [kept])
  assert.equal((await request("DELETE", `${cache}/${kept}`)).status, 204)
})

async function pruned() {
  const { status, body } = await request("POST", `${cache}/prune`)
  assert.equal(status, 200)
  return body
}

test("a cache whose limit was lowered is pruned, the longest unused first", async () => {
  const ids = [await withData(Buffer.alloc(200_000, 1)), await withData(Buffer.alloc(300_000, 2))]
  for (const id of ids) await queued(id)
  const [from, to] = ["host1", "host4"].map((host) => agentDirectories(join(dir, host)).images)
  await cp(from ?? "", to ?? "", { recursive: true })
  agents.push(await startAgent("host4", 400_000))
  await noteCacheHosts(cloud.platform, ["host4"])
  const { total_files_pruned: files, total_bytes_pruned: bytes } = await pruned()
  assert.equal(files, 1)
  assert.ok(bytes >= 200_000 && bytes < 300_000, String(bytes))
  const found = await Promise.all(ids.map(nodesOf))
  assert.deepEqual(found, [
    ["host1", "host2"],
    ["host1", "host2", "host4"],
  ])
})
