// Volumes over HTTP, on a whole control plane with a back end that keeps no data.
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { eventually } from "../src/platform/clock/clock.ts"
import { type ServerCloud, startServerCloud } from "./server-cloud.ts"

let c: ServerCloud
before(async () => {
  c = await startServerCloud({
    overrides: { "blockStorage.quota.volumes": 6, "blockStorage.quota.gigabytes": 40 },
  })
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

async function settled(kind: "volume" | "snapshot", id: string, status = "available"): Promise<Body> {
  return await eventually(`${kind} to be ${status}`, async () => {
    const found = (await ok("GET", `/${kind}s/${id}`))[kind]
    return found.status === status && found
  })
}

async function makeVolume(wish: Body = {}): Promise<string> {
  const { volume } = await ok("POST", "/volumes", { volume: { size: 1, ...wish } })
  await settled("volume", volume.id)
  return volume.id
}

async function gone(kind: "volume" | "snapshot", id: string): Promise<void> {
  await eventually(`${kind} to be gone`, async () => (await call("GET", `/${kind}s/${id}`)).status === 404)
}

async function remove(id: string): Promise<void> {
  await ok("DELETE", `/volumes/${id}?cascade=true`)
  await gone("volume", id)
}

test("a volume is made, listed by what it is, changed, made larger and deleted", async () => {
  const made = await call("POST", "/volumes", { volume: { size: 2, name: "data", metadata: { k: "v" } } })
  assert.equal(made.status, 202)
  assert.equal(made.body.volume.status, "creating")
  const { id } = made.body.volume
  const shown = await settled("volume", id)
  assert.deepEqual([shown.size, shown.volume_type, shown.bootable], [2, "__DEFAULT__", "false"])
  assert.equal(shown["os-vol-host-attr:host"], undefined, "where it lies is for administrators")
  const seen = (await ok("GET", `/volumes/${id}`, undefined, c.admin)).volume
  assert.match(seen["os-vol-host-attr:host"], /^host1@fake#fake$/)
  const names = async (query: string) =>
    (await ok("GET", `/volumes?${query}`)).volumes.map(({ name }: Body) => name)
  assert.deepEqual(await names("name=data&status=available&metadata={'k':'v'}"), ["data"])
  assert.deepEqual(await names("metadata={'k':'other'}"), [])
  assert.deepEqual(await names("limit=0"), [])
  const { volume } = await ok("PUT", `/volumes/${id}`, { volume: { name: "renamed", description: "d" } })
  assert.deepEqual([volume.name, volume.description], ["renamed", "d"])
  await ok("POST", `/volumes/${id}/action`, { "os-extend": { new_size: 3 } })
  assert.equal((await settled("volume", id)).size, 3)
  const less = await call("POST", `/volumes/${id}/action`, { "os-extend": { new_size: 3 } })
  assert.match(less.body.badRequest.message, /New size for extend must be greater than current size/)
  await remove(id)
})

test("bad input is told by its name", async () => {
  for (const [volume, pattern] of [
    [{}, /size/],
    [{ size: 0 }, /size/],
    [{ size: "many" }, /size/],
    [{ size: 1, availability_zone: "mars" }, /Availability zone 'mars' is invalid/],
    [{ size: 1, multiattach: true }, /multiattach/],
    [{ size: 1, backup_id: "b" }, /backup_id/],
    [{ size: 1, imageRef: "a", snapshot_id: "b" }, /not from several/],
    [{ size: 1, imageRef: "no-image" }, /Image no-image could not be found/],
    [{ size: 1, metadata: { k: 1 } }, /metadata|string/],
    [{ size: 1, metadata: { k: "x".repeat(256) } }, /./],
  ] as const) {
    const { status, body } = await call("POST", "/volumes", { volume })
    assert.equal(status, 400, JSON.stringify(volume))
    assert.match(body.badRequest.message, pattern)
  }
  for (const volume of [
    { size: 1, volume_type: "no-type" },
    { size: 1, snapshot_id: "00000000-0000-4000-8000-000000000000" },
    { size: 1, source_volid: "00000000-0000-4000-8000-000000000000" },
  ])
    assert.equal((await call("POST", "/volumes", { volume })).status, 404)
  assert.equal((await call("GET", "/volumes/")).status, 404, "a volume without an id, and no list")
  assert.equal((await call("GET", "/volumes?sort_key=secret")).status, 400)
  assert.equal((await call("GET", "/volumes?marker=nothing")).status, 404)
})

test("snapshots, clones, reverting, and what stands on what", async () => {
  const id = await makeVolume({ name: "origin" })
  const take = async (force?: boolean) =>
    await call("POST", "/snapshots", { snapshot: { volume_id: id, name: "s", ...(force ? { force } : {}) } })
  const first = (await take()).body.snapshot
  await settled("snapshot", first.id)
  const second = (await take()).body.snapshot
  assert.equal((await settled("snapshot", second.id))["os-extended-snapshot-attributes:progress"], "100%")
  const clone = await makeVolume({ size: 2, snapshot_id: first.id })
  assert.equal((await settled("volume", clone)).snapshot_id, first.id)
  const copy = await makeVolume({ size: undefined, source_volid: clone })
  assert.equal((await settled("volume", copy)).size, 2)
  const small = await call("POST", "/volumes", { volume: { size: 1, source_volid: clone } })
  assert.match(small.body.badRequest.message, /cannot be smaller/)
  const wrong = await call("POST", `/volumes/${id}/action`, { revert: { snapshot_id: first.id } })
  assert.match(wrong.body.badRequest.message, /not the latest/)
  await ok("POST", `/volumes/${id}/action`, { revert: { snapshot_id: second.id } })
  await settled("volume", id)
  const standing = await call("DELETE", `/volumes/${id}`)
  assert.match(standing.body.badRequest.message, /must not have snapshots/)
  await ok("DELETE", `/snapshots/${second.id}`)
  await gone("snapshot", second.id)
  for (const each of [copy, clone, id]) await remove(each)
  await gone("snapshot", first.id)
})

test("the quota counts volumes, and the sizes of volumes and snapshots together", async () => {
  const id = await makeVolume({ size: 15 })
  const { snapshot } = await ok("POST", "/snapshots", { snapshot: { volume_id: id } })
  await settled("snapshot", snapshot.id)
  const { status, body, headers } = await call("POST", "/volumes", { volume: { size: 11 } })
  assert.equal(status, 413)
  assert.match(body.overLimit.message, /Requested 11G, quota is 40G and 30G has been consumed/)
  assert.equal(headers.get("retry-after"), "0")
  const { limits } = await ok("GET", "/limits")
  assert.deepEqual([limits.absolute.totalGigabytesUsed, limits.absolute.totalSnapshotsUsed], [30, 1])
  const at = await Promise.all(
    Array.from({ length: 8 }, async () => await call("POST", "/volumes", { volume: { size: 1 } })),
  )
  assert.equal(at.filter((reply) => reply.status === 202).length, 5)
  for (const reply of at) if (reply.status === 202) await settled("volume", reply.body.volume.id)
  for (const reply of at) if (reply.status === 202) await remove(reply.body.volume.id)
  await remove(id)
})

test("an image becomes a volume, and a volume an image", async () => {
  const id = await makeVolume({ imageRef: c.imageId })
  const volume = await settled("volume", id)
  assert.equal(volume.bootable, "true")
  assert.equal(volume.volume_image_metadata.image_id, c.imageId)
  const uploaded = await ok("POST", `/volumes/${id}/action`, {
    "os-volume_upload_image": { image_name: "from a volume", disk_format: "raw" },
  })
  const imageId = uploaded["os-volume_upload_image"].image_id
  await settled("volume", id)
  const { body } = await c.cloud.request("GET", `/image/v2/images/${imageId}`, { token: c.demo })
  assert.equal(body.status, "active")
  await remove(id)
})

test("an image of a volume has none of the cloud's own properties, and is seen by others as the policy says", async () => {
  const id = await makeVolume({ imageRef: c.imageId })
  await settled("volume", id)
  const metadata = {
    ...{ os_glance_import_task: "x", status: "deactivated", owner: "p", min_ram: "lots", location: "l" },
    ...{ hw_disk_bus: "scsi", speed: "88" },
  }
  await ok("POST", `/volumes/${id}/action`, { "os-set_image_metadata": { metadata } })
  const asked = (visibility: string) => ({
    "os-volume_upload_image": { image_name: "theirs", disk_format: "raw", visibility },
  })
  const upload = (visibility: string, token = c.demo) =>
    call("POST", `/volumes/${id}/action`, asked(visibility), token)
  const { policy } = c.cloud.cloud.platform
  policy.override({ communitize_image: "role:admin" })
  for (const visibility of ["public", "community"]) {
    const refused = await upload(visibility)
    assert.equal(refused.status, 403, JSON.stringify(refused.body))
  }
  policy.override({})
  for (const [visibility, token] of [
    ["community", c.demo],
    ["public", c.admin],
  ] as const) {
    const { status, body } = await upload(visibility, token)
    assert.equal(status, 202, JSON.stringify(body))
    await settled("volume", id)
    const path = `/image/v2/images/${body["os-volume_upload_image"].image_id}`
    const image = (await c.cloud.request("GET", path, { token: c.demo })).body
    assert.deepEqual(
      [image.status, image.visibility, image.min_ram, image.hw_disk_bus, image.speed],
      ["active", visibility, 0, "scsi", "88"],
    )
    assert.deepEqual([image.os_glance_import_task, image.location], [undefined, undefined])
    const removed = await c.cloud.request("DELETE", path, { token: c.admin })
    assert.equal(removed.status, 204)
  }
  await remove(id)
})

test("a volume that no back end takes is in error and can be deleted; its type cannot before", async () => {
  const { volume_type: type } = await ok(
    "POST",
    "/types",
    { volume_type: { name: "elsewhere", extra_specs: { volume_backend_name: "gold" } } },
    c.admin,
  )
  const { volume } = await ok("POST", "/volumes", { volume: { size: 1, volume_type: "elsewhere" } })
  await settled("volume", volume.id, "error")
  assert.equal((await call("DELETE", `/types/${type.id}`, undefined, c.admin)).status, 400)
  await remove(volume.id)
  assert.equal((await call("DELETE", `/types/${type.id}`, undefined, c.admin)).status, 202)
})

test("types that are not public are for those who were given them", async () => {
  const { volume_type: type } = await ok(
    "POST",
    "/types",
    { volume_type: { name: "ours", "os-volume-type-access:is_public": false } },
    c.admin,
  )
  const names = async () => (await ok("GET", "/types")).volume_types.map(({ name }: Body) => name)
  assert.ok(!(await names()).includes("ours"))
  assert.equal((await call("POST", "/volumes", { volume: { size: 1, volume_type: "ours" } })).status, 404)
  const { body } = await c.cloud.request("GET", "/identity/v3/auth/tokens", {
    token: c.admin,
    headers: { "x-subject-token": c.demo },
  })
  const access = { project: body.token.project.id }
  await ok("POST", `/types/${type.id}/action`, { addProjectAccess: access }, c.admin)
  assert.equal(
    (await call("POST", `/types/${type.id}/action`, { addProjectAccess: access }, c.admin)).status,
    409,
  )
  assert.ok((await names()).includes("ours"))
  assert.equal((await call("POST", "/types", { volume_type: { name: "x" } })).status, 403)
  await ok("DELETE", `/types/${type.id}`, undefined, c.admin)
})

test("attachments that others look after: reserved, connected, complete, ended", async () => {
  const id = await makeVolume()
  const { attachment } = await ok("POST", "/attachments", { attachment: { volume_uuid: id } })
  assert.equal(attachment.status, "reserved")
  assert.equal((await call("POST", "/attachments", { attachment: { volume_uuid: id } })).status, 400)
  assert.equal((await call("DELETE", `/volumes/${id}`)).status, 400)
  await ok("PUT", `/attachments/${attachment.id}`, { attachment: { connector: { host: "metal1" } } })
  await settled("volume", id, "attaching")
  await ok("POST", `/attachments/${attachment.id}/action`, { "os-complete": null })
  assert.equal((await settled("volume", id, "in-use")).attachments.length, 1)
  await ok("DELETE", `/attachments/${attachment.id}`)
  await settled("volume", id)
  await remove(id)
})

test("a volume that has grown since its snapshot is not reverted", async () => {
  const id = await makeVolume()
  const { snapshot } = (await call("POST", "/snapshots", { snapshot: { volume_id: id } })).body
  await settled("snapshot", snapshot.id)
  await ok("POST", `/volumes/${id}/action`, { "os-extend": { new_size: 2 } })
  await settled("volume", id)
  const reply = await call("POST", `/volumes/${id}/action`, { revert: { snapshot_id: snapshot.id } })
  assert.equal(reply.status, 400, JSON.stringify(reply.body))
  assert.match(reply.body.badRequest.message, /The volume size must be equal to the snapshot size/)
  await settled("volume", id)
  await ok("DELETE", `/snapshots/${snapshot.id}`)
  await gone("snapshot", snapshot.id)
  await remove(id)
})

test("an image is found by its name, when one alone has it, and by an address", async () => {
  const { body: image } = await c.cloud.request("GET", `/image/v2/images/${c.imageId}`, { token: c.demo })
  for (const imageRef of [image.name, `http://cloud/v2/images/${c.imageId}`]) {
    const made = await makeVolume({ imageRef })
    assert.equal((await settled("volume", made)).volume_image_metadata.image_id, c.imageId)
    await remove(made)
  }
  for (const _ of [1, 2])
    await c.cloud.request("POST", "/image/v2/images", {
      token: c.demo,
      body: { name: "twins", disk_format: "raw", container_format: "bare" },
    })
  const twins = await call("POST", "/volumes", { volume: { size: 1, imageRef: "twins" } })
  assert.equal(twins.status, 409, JSON.stringify(twins.body))
  assert.match(twins.body.conflictingRequest.message, /Multiple matches found for 'twins'/)
})

test("services say what the version knows of them", async () => {
  const fieldsAt = async (version: string) => {
    const { body } = await c.cloud.request("GET", "/volume/v3/os-services", {
      ...{ token: c.admin, headers: { "openstack-api-version": `volume ${version}` } },
    })
    const of = (binary: string) => body.services.find((each: { binary: string }) => each.binary === binary)
    return [of("cinder-volume"), of("cinder-scheduler")]
  }
  const [old, oldScheduler] = await fieldsAt("3.6")
  assert.deepEqual([old.replication_status, old.active_backend_id, old.frozen], ["disabled", null, false])
  assert.deepEqual(
    ["cluster" in old, "backend_state" in old, "frozen" in oldScheduler],
    [false, false, false],
  )
  const [now, scheduler] = await fieldsAt("3.49")
  assert.deepEqual([now.cluster, now.backend_state, scheduler.cluster], [null, "up", null])
  assert.equal("backend_state" in scheduler, false)
})

test("a transfer is for who knows its key, and counts against the taker's quota", async () => {
  const id = await makeVolume({ name: "gift" })
  const { transfer } = await ok("POST", "/volume-transfers", { transfer: { volume_id: id, name: "t" } })
  await settled("volume", id, "awaiting-transfer")
  const accept = (key: string) =>
    call("POST", `/volume-transfers/${transfer.id}/accept`, { accept: { auth_key: key } }, c.admin)
  assert.equal((await accept("wrong")).status, 404)
  assert.equal((await accept(transfer.auth_key)).status, 202)
  assert.equal((await call("GET", `/volumes/${id}`)).status, 404)
  assert.equal((await call("GET", `/volumes/${id}`, undefined, c.admin)).body.volume.status, "available")
  await ok("DELETE", `/volumes/${id}`, undefined, c.admin)
})

test("metadata: what every object has is no item, and a creation takes no more than a change", async () => {
  const id = await makeVolume({ metadata: { k: "v" } })
  const { volume_types: types } = await ok("GET", "/types")
  for (const key of ["constructor", "__proto__", "toString"]) {
    const items = [`/volumes/${id}/metadata/${key}`, `/types/${types[0].id}/extra_specs/${key}`]
    for (const path of items) {
      assert.equal((await call("GET", path, undefined, c.admin)).status, 404, path)
      assert.equal((await call("DELETE", path, undefined, c.admin)).status, 404, path)
    }
    const unset = await call("POST", `/volumes/${id}/action`, { "os-unset_image_metadata": { key } })
    assert.equal(unset.status, 404)
  }
  const { body } = await call("PUT", `/volumes/${id}/metadata/constructor`, { meta: { other: "v" } })
  assert.match(body.badRequest.message, /URI mismatch/)
  const many = Object.fromEntries(Array.from({ length: 129 }, (_, n) => [`k${n}`, "v"]))
  for (const metadata of [{ "": "v" }, { ["k".repeat(256)]: "v" }, many]) {
    for (const [path, wish] of [
      ["/volumes", { volume: { size: 1, metadata } }],
      ["/snapshots", { snapshot: { volume_id: id, metadata } }],
    ] as const) {
      const reply = await call("POST", path, wish)
      assert.equal(reply.status, 400)
      assert.match(reply.body.badRequest.message, /[Mm]etadata/)
    }
  }
  const some = (from: number) =>
    Object.fromEntries(Array.from({ length: 80 }, (_, n) => [`k${from + n}`, "v"]))
  const setFacts = (metadata: Body) =>
    call("POST", `/volumes/${id}/action`, { "os-set_image_metadata": { metadata } })
  assert.equal((await setFacts(some(0))).status, 200)
  assert.equal((await setFacts(some(80))).status, 400, "also together with those that are there")
  const half = await call("GET", `/volumes?metadata=${encodeURIComponent('{"k":"\\ud800"}')}`)
  assert.equal(half.status, 400)
  assert.match(half.body.badRequest.message, /half of a surrogate pair/)
  await remove(id)
})
