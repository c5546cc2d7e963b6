// What operators and Nova do to a volume's state: other data from an image, a status by an administrator, a new
// connector.
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { eventually } from "../src/platform/clock/clock.ts"
import { newUuid } from "../src/platform/ids/ids.ts"
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

async function call(method: string, path: string, body?: Body, token = c.demo, version = "3.70") {
  return await c.cloud.request(method, `/volume/v3${path}`, {
    token,
    headers: { "openstack-api-version": `volume ${version}` },
    ...(body === undefined ? {} : { body }),
  })
}

async function ok(method: string, path: string, body?: Body, token = c.demo): Promise<Body> {
  const reply = await call(method, path, body, token)
  assert.ok(reply.status < 300, `${method} ${path}: ${reply.status} ${JSON.stringify(reply.body)}`)
  return reply.body
}

const act = (id: string, action: Body, token = c.demo, version = "3.70") =>
  call("POST", `/volumes/${id}/action`, action, token, version)
const shown = async (id: string) => (await ok("GET", `/volumes/${id}`, undefined, c.admin)).volume

async function settled(id: string, status = "available"): Promise<Body> {
  return await eventually(`volume to be ${status}`, async () => {
    const found = await shown(id)
    return found.status === status && found
  })
}

async function makeVolume(size = 1): Promise<string> {
  const { volume } = await ok("POST", "/volumes", { volume: { size } })
  await settled(volume.id)
  return volume.id
}

const agent = () => c.cloud.cloud.agent.agent
const epoch = () => c.cloud.cloud.platform.epoch.number
const onHost = async (volumeId: string) =>
  (await agent().handle("volume.inspect", { volumeId, backend: "fake" })).volume
const reset = (id: string, status: string) => act(id, { "os-reset_status": { status } }, c.admin)
const gib = 1024 ** 3

test("a volume gets the data of an image, and knows it", async () => {
  const id = await makeVolume()
  const reimage = (more: Body = {}) => ({ "os-reimage": { image_id: c.imageId, ...more } })
  assert.equal((await act(id, reimage(), c.demo, "3.67")).status, 400)
  for (const [body, pattern] of [
    [{ image_id: newUuid() }, /could not be found/],
    [{ image_id: "x" }, /image_id/],
    [{ reimage_reserved: "maybe" }, /reimage_reserved/],
    [{ more: 1 }, /more/],
  ] as const) {
    const reply = await act(id, reimage(body))
    assert.deepEqual([reply.status, pattern.test(reply.body.badRequest.message)], [400, true])
  }
  assert.equal((await act(newUuid(), reimage())).status, 404)
  assert.equal((await act(id, reimage())).status, 202)
  const seen = await settled(id)
  assert.equal(seen.bootable, "true")
  assert.equal(seen.volume_image_metadata.image_id, c.imageId)

  const { attachment } = await ok("POST", "/attachments", { attachment: { volume_uuid: id } })
  assert.match((await act(id, reimage())).body.badRequest.message, /status must be available or error/)
  assert.equal((await act(id, reimage({ reimage_reserved: true }))).status, 202)
  await settled(id, "reserved")
  await ok("DELETE", `/attachments/${attachment.id}`)
  await ok("DELETE", `/volumes/${id}`)
})

test("a volume whose data are gone is no available one, whatever is said of it", async () => {
  const id = await makeVolume()
  await agent().handle("volume.delete", {
    volumeId: id,
    backend: "fake",
    fence: { epoch: epoch(), generation: 1, fence: 99 },
  })
  const reply = await reset(id, "available")
  assert.deepEqual([reply.status, /are gone/.test(reply.body.badRequest.message)], [400, true])
  assert.equal((await shown(id)).status, "error")
  await ok("DELETE", `/volumes/${id}`)

  const type = await ok(
    "POST",
    "/types",
    { volume_type: { name: "nowhere", extra_specs: { volume_backend_name: "none" } } },
    c.admin,
  )
  const { volume } = await ok("POST", "/volumes", { volume: { size: 1, volume_type: type.volume_type.id } })
  await settled(volume.id, "error")
  assert.match((await reset(volume.id, "available")).body.badRequest.message, /has no data/)
  assert.equal((await shown(volume.id)).status, "error")
  assert.equal((await reset(volume.id, "maintenance")).status, 202)
  assert.equal((await reset(volume.id, "error")).status, 202)
  await ok("DELETE", `/volumes/${volume.id}`)
})

test("what a task of before sends late does not reach a volume that was reset", async () => {
  const id = await makeVolume()
  const { generation } = await c.cloud.database.db
    .selectFrom("block_storage.volume")
    .select("generation")
    .where("id", "=", id)
    .executeTakeFirstOrThrow()
  assert.equal((await reset(id, "available")).status, 202)
  const late = {
    volumeId: id,
    backend: "fake",
    fence: { epoch: epoch(), generation: Number(generation), fence: 99 },
  }
  await assert.rejects(agent().handle("volume.delete", late), { code: "agent.fence.stale" })
  await ok("DELETE", `/volumes/${id}`)
})

test("a volume that is reset in the middle of an extend is as large as it is said to be", async () => {
  const id = await makeVolume()
  // As an extend leaves it that has noted the new size and not been to the host.
  await c.cloud.database.db
    .updateTable("block_storage.volume")
    .set({ status: "extending", size_gib: 3 })
    .where("id", "=", id)
    .execute()
  assert.equal((await reset(id, "available")).status, 202)
  assert.equal((await shown(id)).size, 3)
  assert.equal((await onHost(id))?.sizeBytes, 3 * gib)
  await ok("DELETE", `/volumes/${id}`)
})

test("a new connector of who has the volume leaves it attached", async () => {
  const id = await makeVolume()
  const wish = { attachment: { volume_uuid: id, connector: { host: "metal" } } }
  const { attachment } = await ok("POST", "/attachments", wish)
  await ok("POST", `/attachments/${attachment.id}/action`, { "os-complete": {} })
  await settled(id, "in-use")
  const update = { attachment: { connector: { host: "other", mountpoint: "/dev/vdc" } } }
  const changed = (await ok("PUT", `/attachments/${attachment.id}`, update)).attachment
  assert.equal(changed.status, "attached")
  const seen = await shown(id)
  assert.deepEqual(
    [seen.status, seen.attachments[0].host_name, seen.attachments[0].device],
    ["in-use", "other", "/dev/vdc"],
  )
  await ok("DELETE", `/attachments/${attachment.id}`)
  await settled(id)
  await ok("DELETE", `/volumes/${id}`)
})

test("clusters, filters of lists and unfinished work are answered by what there is", async () => {
  const admin = (path: string, version = "3.71") => call("GET", path, undefined, c.admin, version)
  assert.deepEqual((await admin("/clusters")).body, { clusters: [] })
  assert.deepEqual((await admin("/clusters/detail?is_up=true")).body, { clusters: [] })
  assert.equal((await admin("/clusters?color=red")).status, 400)
  assert.equal((await admin("/clusters?frozen=true", "3.25")).status, 400)
  assert.equal((await admin("/clusters?is_up=maybe")).status, 400)
  assert.equal((await admin("/clusters", "3.6")).status, 404)
  assert.equal((await admin("/clusters/c")).status, 404)
  assert.equal((await call("GET", "/clusters")).status, 403)
  for (const action of ["enable", "disable"]) {
    assert.equal((await call("PUT", `/clusters/${action}`, { name: "c" }, c.admin)).status, 404)
    assert.equal((await call("PUT", `/clusters/${action}`, {}, c.admin)).status, 400)
  }

  const { resource_filters: all } = await ok("GET", "/resource_filters")
  const [volume] = (await ok("GET", "/resource_filters?resource=volume")).resource_filters
  assert.deepEqual(
    volume,
    all.find(({ resource }: Body) => resource === "volume"),
  )
  for (const name of ["name", "status", "metadata", "bootable", "size"])
    assert.ok(volume.filters.includes(name))
  assert.deepEqual((await ok("GET", "/resource_filters?resource=moon")).resource_filters, [])

  const clean = (body: Body, token = c.admin) => call("POST", "/workers/cleanup", body, token)
  const own = { id: "host1@fake", host: "host1@fake", binary: "cinder-volume", cluster_name: null }
  const up = await clean({ is_up: true })
  assert.deepEqual([up.status, up.body], [202, { cleaning: [own], unavailable: [] }])
  assert.deepEqual((await clean({})).body, { cleaning: [], unavailable: [] })
  assert.deepEqual((await clean({ is_up: true, host: "host2" })).body.cleaning, [])
  assert.deepEqual((await clean({ is_up: true, disabled: true })).body.cleaning, [])
  assert.deepEqual((await clean({ is_up: true, service_id: 1 })).body.cleaning, [])
  const unknown = await clean({ resource_id: newUuid() })
  assert.match(unknown.body.badRequest.message, /pending cleanup/)
  for (const body of [{ is_up: "maybe" }, { resource_type: "Moon" }, { binary: "x" }, { more: 1 }])
    assert.equal((await clean(body)).status, 400, JSON.stringify(body))
  assert.equal((await clean({}, c.demo)).status, 403)

  const id = await makeVolume()
  const complete = { "os-extend_volume_completion": { error: false } }
  assert.equal((await act(id, complete, c.admin, "3.70")).status, 400)
  assert.match((await act(id, complete, c.admin, "3.71")).body.badRequest.message, /not being extended/)
  assert.equal((await act(id, complete, c.demo, "3.71")).status, 403)
  await ok("DELETE", `/volumes/${id}`)
})

test("what is said of a volume while it is made is kept, and a reset says what it sets", async () => {
  c.cloud.volumes.setControl({ delayMs: 600_000 })
  const { volume } = await ok("POST", "/volumes", { volume: { size: 1 } })
  const { volume: ofImage } = await ok("POST", "/volumes", { volume: { size: 1, imageRef: c.imageId } })
  for (const [{ id }, bootable] of [
    [volume, true],
    [ofImage, false],
  ] as const) {
    assert.equal((await act(id, { "os-set_bootable": { bootable } })).status, 200)
    assert.equal((await shown(id)).status, "creating")
  }
  c.cloud.volumes.setControl({ delayMs: 0 })
  assert.equal((await settled(volume.id)).bootable, "true")
  assert.equal((await settled(ofImage.id)).bootable, "false")
  assert.equal((await act(volume.id, { "os-reset_status": {} }, c.admin)).status, 400)
})

test("an extra spec that there was not is made by its own address", async () => {
  const made = await ok("POST", "/types", { volume_type: { name: "with-specs" } }, c.admin)
  const path = `/types/${made.volume_type.id}/extra_specs`
  assert.deepEqual(await ok("PUT", `${path}/vendor`, { vendor: "one" }, c.admin), { vendor: "one" })
  assert.deepEqual(await ok("GET", path, undefined, c.admin), { extra_specs: { vendor: "one" } })
})
