// Servers that are made with volumes: to boot from, and others.
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { createSnapshot, createVolume } from "../src/block-storage/index.ts"
import { explainServer } from "../src/compute/index.ts"
import { eventually } from "../src/platform/clock/clock.ts"
import type { Ctx } from "../src/platform/context/context.ts"
import { newUuid } from "../src/platform/ids/ids.ts"
import { callerOf, contextOf } from "./saga-case.ts"
import { type ServerCloud, startServerCloud } from "./server-cloud.ts"
import { disksOf, hasPool, makeVolume, volumeIs, volumeNow, volumeWish } from "./volume-cloud.ts"

let c: ServerCloud
let ctx: Ctx
before(async () => {
  c = await startServerCloud({
    overrides: {
      ...{ "blockStorage.quota.volumes": -1, "compute.quota.instances": -1, "compute.quota.cores": -1 },
    },
  })
  ctx = contextOf(c.cloud.cloud.platform, await callerOf(c))
  await hasPool(c)
})
after(() => c[Symbol.asyncDispose]())

const toVolume = (more: object) => ({ destination_type: "volume", ...more })
const create = (mapping: object[], more: object = {}) =>
  c.create({ imageRef: undefined, block_device_mapping_v2: mapping, ...more })

async function volumesOf(id: string): Promise<{ volumeId: string; device: string }[]> {
  return (await c.call("GET", `/servers/${id}/os-volume_attachments`)).body.volumeAttachments
}

async function remove(id: string): Promise<void> {
  assert.equal((await c.call("DELETE", `/servers/${id}`)).status, 204)
  await c.isGone(id)
}

test("a volume is made from the image, booted from, and goes with the server", async () => {
  const image = { source_type: "image", uuid: c.imageId, boot_index: 0, volume_size: 2 }
  const id = await create([
    toVolume({ ...image, delete_on_termination: true }),
    toVolume({ source_type: "blank", volume_size: 1, boot_index: null, tag: "logs" }),
  ])
  await c.reaches(id, "ACTIVE")
  const attached = await volumesOf(id)
  assert.deepEqual(
    attached.map(({ device }) => device),
    ["/dev/vda", "/dev/vdb"],
  )
  const [root = "", data = ""] = attached.map(({ volumeId }) => volumeId)
  assert.deepEqual(await disksOf(c, id), [root, data])
  assert.equal((await volumeIs(c, root, "in-use")).sizeGib, 2)
  await volumeIs(c, data, "in-use")
  const server = await c.show(id, { token: c.admin })
  assert.equal(server.image, "")
  assert.equal(server["OS-EXT-SRV-ATTR:root_device_name"], "/dev/vda")
  const detached = await c.call("DELETE", `/servers/${id}/os-volume_attachments/${root}`)
  assert.equal(detached.status, 400)
  assert.match(detached.body.badRequest.message, /Cannot detach a root device volume/)
  await remove(id)
  await eventually("the root volume to be gone", async () => (await volumeNow(c, root)) === undefined)
  await volumeIs(c, data, "available")
})

test("a server may begin with a blank volume, as one that is to be rescued or installed", async () => {
  const id = await create([toVolume({ source_type: "blank", volume_size: 1, boot_index: 0 })])
  await c.reaches(id, "ACTIVE")
  const [root = ""] = await disksOf(c, id)
  assert.equal((await volumeNow(c, root))?.isBootable, false)
  await remove(id)
})

test("a volume that is there is booted, is its server's alone, and comes back", async () => {
  const volumeId = await makeVolume(c, ctx, { imageId: c.imageId, sizeGib: 1 })
  const mapping = [toVolume({ source_type: "volume", uuid: volumeId, boot_index: 0 })]
  const id = await create(mapping, { flavorRef: c.flavorId })
  assert.notEqual((await volumeNow(c, volumeId))?.status, "available")
  const again = await c.call("POST", "/servers", {
    server: { name: "x", flavorRef: c.flavorId, networks: "none", block_device_mapping_v2: mapping },
  })
  assert.equal(again.status, 400, JSON.stringify(again.body))
  assert.match(again.body.badRequest.message, /must be available to reserve/)
  await c.reaches(id, "ACTIVE")
  assert.deepEqual(await disksOf(c, id), [volumeId])
  const acts: [object, number, RegExp][] = [
    [{ createBackup: { name: "x", backup_type: "daily", rotation: 1 } }, 400, /not supported/],
    [{ rescue: null }, 400, /has no image to rescue it with/],
  ]
  for (const [action, status, why] of acts) {
    const reply = await c.act(id, action)
    assert.equal(reply.status, status, JSON.stringify([action, reply.body]))
    assert.match(JSON.stringify(reply.body), why)
  }
  const rebuilt = await c.act(id, { rebuild: { imageRef: c.imageId } }, { version: "2.92" })
  assert.equal(rebuilt.status, 202, JSON.stringify(rebuilt.body))
  await c.reaches(id, "ACTIVE")
  assert.equal((await c.show(id)).image, "")
  await c.act(id, { shelve: null })
  await c.reaches(id, "SHELVED_OFFLOADED")
  assert.equal((await volumeNow(c, volumeId))?.status, "in-use")
  await c.act(id, { unshelve: null })
  await c.reaches(id, "ACTIVE")
  assert.deepEqual(await disksOf(c, id), [volumeId])
  await remove(id)
  await volumeIs(c, volumeId, "available")
})

test("from 2.93 on a rebuild gives the volume the image's data; before, the volume stays and so must the image", async () => {
  const image = { source_type: "image", uuid: c.imageId, boot_index: 0, volume_size: 1 }
  const id = await create([toVolume({ ...image, delete_on_termination: true })])
  await c.reaches(id, "ACTIVE")
  const [{ volumeId = "" } = {}] = await volumesOf(id)
  const next = await madeImage(c.demo, "the data of another disk", { hw_disk_bus: "virtio" })
  const rebuild = async (imageRef: string, version: string) =>
    await c.act(id, { rebuild: { imageRef } }, { version })
  const old = await rebuild(next.id, "2.92")
  assert.equal(old.status, 400, JSON.stringify(old.body))
  assert.match(old.body.badRequest.message, /Unable to rebuild with a different image for a volume-backed/)
  const imageOfVolume = async () => (await volumeNow(c, volumeId))?.imageMetadata?.image_id
  for (const each of [next.id, next.id, c.imageId]) {
    // Until it is seen.
    c.cloud.volumes.setControl({ delayMs: 600_000 })
    const reply = await rebuild(each, "2.93")
    assert.equal(reply.status, 202, JSON.stringify(reply.body))
    assert.equal((await volumeNow(c, volumeId))?.status, "downloading")
    c.cloud.volumes.setControl({ delayMs: 0 })
    const server = await c.reaches(id, "ACTIVE")
    assert.equal(server.image, "")
    assert.deepEqual(await disksOf(c, id), [volumeId])
    assert.deepEqual([(await volumeNow(c, volumeId))?.status, await imageOfVolume()], ["in-use", each])
  }
  const large = await madeImage(c.demo, "for a large disk", { min_disk: 2 })
  const empty = await madeImage(c.demo, "", {})
  const certified = { imageRef: next.id, trusted_image_certificates: ["a"] }
  const refusals: [object, RegExp][] = [
    [{ imageRef: large.id }, /Volume is smaller than the minimum size/],
    [{ imageRef: empty.id }, /no data that a volume could get/],
    [certified, /not supported for volume-backed servers/],
  ]
  for (const [asked, why] of refusals) {
    const reply = await c.act(id, { rebuild: asked }, { version: "2.93" })
    assert.equal(reply.status, 400, JSON.stringify(reply.body))
    assert.match(reply.body.badRequest.message, why)
  }
  const { db } = c.cloud.database
  const uploading = db.updateTable("block_storage.volume").set({ status: "uploading" })
  await uploading.where("id", "=", volumeId).execute()
  const busy = await rebuild(next.id, "2.93")
  assert.equal(busy.status, 400, JSON.stringify(busy.body))
  assert.match(busy.body.badRequest.message, /status must be in-use or error to re-image it/)
  await c.reaches(id, "ACTIVE")
  await db.updateTable("block_storage.volume").set({ status: "in-use" }).where("id", "=", volumeId).execute()
  c.cloud.volumes.setControl({ failNext: 1 })
  assert.equal((await rebuild(next.id, "2.93")).status, 202)
  assert.match((await c.reaches(id, "ERROR")).fault.message, /./)
  assert.equal((await volumeNow(c, volumeId))?.status, "error")
  assert.equal((await rebuild(next.id, "2.93")).status, 202)
  await c.reaches(id, "ACTIVE")
  assert.equal((await volumeNow(c, volumeId))?.status, "in-use")
  await remove(id)
  await eventually("the volume to go with it", async () => (await volumeNow(c, volumeId)) === undefined)
})

test("a server that is deleted while its volume gets an image's data leaves the volume to nobody", async () => {
  const volumeId = await makeVolume(c, ctx, { imageId: c.imageId, sizeGib: 1 })
  const id = await create([toVolume({ source_type: "volume", uuid: volumeId, boot_index: 0 })])
  await c.reaches(id, "ACTIVE")
  c.cloud.volumes.setControl({ delayMs: 600_000 })
  const reply = await c.act(id, { rebuild: { imageRef: c.imageId } }, { version: "2.93" })
  assert.equal(reply.status, 202, JSON.stringify(reply.body))
  await eventually("the volume to get it", () => c.cloud.volumes.underWay > 0)
  assert.equal((await c.call("DELETE", `/servers/${id}`)).status, 204)
  c.cloud.volumes.setControl({ delayMs: 0 })
  await c.isGone(id)
  await volumeIs(c, volumeId, "available")
  const again = await create([toVolume({ source_type: "volume", uuid: volumeId, boot_index: 0 })])
  await c.reaches(again, "ACTIVE")
  await remove(again)
})

test("beside the image's disk, by the old form and the new one", async () => {
  const [first, second] = [await makeVolume(c, ctx), await makeVolume(c, ctx)]
  const id = await c.create({
    block_device_mapping_v2: [
      { source_type: "image", uuid: c.imageId, destination_type: "local", boot_index: 0 },
      toVolume({ source_type: "volume", uuid: first, boot_index: -1, device_name: "/dev/vdf" }),
    ],
  })
  const old = await c.create({
    block_device_mapping: [{ volume_id: second, device_name: "vdb", delete_on_termination: true }],
  })
  for (const each of [id, old]) await c.reaches(each, "ACTIVE")
  assert.equal((await volumesOf(id))[0]?.device, "/dev/vdf")
  assert.deepEqual(await disksOf(c, id), ["root", first])
  assert.deepEqual(await disksOf(c, old), ["root", second])
  assert.equal((await c.show(old)).image.id, c.imageId)
  for (const each of [id, old]) await remove(each)
  await volumeIs(c, first, "available")
})

test("what cannot be is refused before anything is made", async () => {
  const volumeId = await makeVolume(c, ctx)
  const volume = toVolume({ source_type: "volume", uuid: volumeId, boot_index: 0 })
  const image = { source_type: "image", uuid: c.imageId, boot_index: 0 }
  const local = { ...image, destination_type: "local" }
  const blank = toVolume({ source_type: "blank", boot_index: -1 })
  const wrong: [object, RegExp][] = [
    [{ block_device_mapping_v2: [volume] }, /Block Device .* is not bootable/],
    [{ block_device_mapping_v2: [{ ...volume, uuid: newUuid() }] }, /failed to get volume/],
    [{ block_device_mapping_v2: [{ ...volume, source_type: "snapshot" }] }, /failed to get snapshot/],
    [{ block_device_mapping_v2: [toVolume(image)] }, /non-zero size/],
    [{ block_device_mapping_v2: [local, blank] }, /Blank volumes .* need to have non-zero size/],
    [{ block_device_mapping_v2: [{ ...volume, boot_index: null }] }, /Boot sequence/],
    [{ block_device_mapping_v2: [local, { ...volume, boot_index: 2 }] }, /Boot sequence/],
    [{ block_device_mapping_v2: [local, volume] }, /Boot sequence/],
    [{ block_device_mapping_v2: [{ destination_type: "volume", uuid: volumeId }] }, /Invalid source_type/],
    [{ block_device_mapping_v2: [toVolume({ source_type: "volume", boot_index: 0 })] }, /Missing device/],
    [
      { block_device_mapping_v2: [toVolume({ ...image, volume_size: 1, volume_type: "nope" })] },
      /Volume type nope could not be found/,
    ],
    [
      {
        imageRef: c.imageId,
        max_count: 2,
        block_device_mapping_v2: [local, { ...volume, boot_index: -1 }],
      },
      /Cannot attach one or more volumes to multiple instances/,
    ],
    [
      {
        imageRef: c.imageId,
        block_device_mapping_v2: [local, { ...volume, boot_index: -1, device_name: "vda" }],
      },
      /same device name as the root device vda/,
    ],
    [{ block_device_mapping: [{ volume_id: volumeId, device_name: "vdb" }] }, /Boot sequence/],
    [{ block_device_mapping_v2: Array.from({ length: 129 }, () => blank) }, /128 at the most/],
    [{ block_device_mapping: [{ device_name: "vda" }] }, /Unrecognized legacy format/],
  ]
  for (const [more, why] of wrong) {
    const server = { name: "x", flavorRef: c.flavorId, networks: "none", ...more }
    const reply = await c.call("POST", "/servers", { server })
    assert.equal(reply.status, 400, JSON.stringify([more, reply.body]))
    assert.match(JSON.stringify(reply.body), why)
  }
  assert.equal((await volumeNow(c, volumeId))?.status, "available")
})

test("a volume that cannot be made is the server's fault, and the other one is given back", async () => {
  const kept = await makeVolume(c, ctx)
  const { id: source } = await createVolume(ctx, { ...volumeWish, imageId: c.imageId })
  await volumeIs(c, source, "available")
  const id = await create([
    toVolume({ source_type: "volume", uuid: source, boot_index: 0 }),
    toVolume({ source_type: "volume", uuid: kept, boot_index: -1 }),
    toVolume({ source_type: "blank", volume_size: 9_000_000, boot_index: -1, delete_on_termination: true }),
  ])
  const server = await c.reaches(id, "ERROR")
  assert.match(server.fault.message, /backend|Quota|did not finish/)
  for (const each of [kept, source]) await volumeIs(c, each, "available")
  assert.deepEqual(await volumesOf(id), [])
  await remove(id)
})

test("a snapshot becomes the volume that is booted, where the snapshot lies", async () => {
  const source = await makeVolume(c, ctx, { imageId: c.imageId })
  const wish = { volumeId: source, name: null, description: null, metadata: {}, mayBeInUse: false }
  const { id: snapshotId } = await createSnapshot(ctx, wish)
  const { db } = c.cloud.database
  const statusOf = async () =>
    await db
      .selectFrom("block_storage.snapshot")
      .select(["status", "host"])
      .where("id", "=", snapshotId)
      .executeTakeFirst()
  await eventually("the snapshot", async () => (await statusOf())?.status === "available")
  const snapshot = { source_type: "snapshot", uuid: snapshotId, boot_index: 0, delete_on_termination: true }
  const id = await create([toVolume(snapshot)])
  await c.reaches(id, "ACTIVE")
  const [root] = await volumesOf(id)
  assert.deepEqual(await disksOf(c, id), [root?.volumeId])
  const explained = await explainServer(c.cloud.cloud.platform, id)
  assert.deepEqual(explained.hosts[0]?.refusals, [])
  await remove(id)
  await db.updateTable("block_storage.snapshot").set({ host: "host2" }).execute()
  const elsewhere = await create([toVolume(snapshot)])
  await c.reaches(elsewhere, "ERROR")
  await remove(elsewhere)
})

test("an image of a server that boots from a volume has no data, and the next server boots what it names", async () => {
  const image = { source_type: "image", uuid: c.imageId, boot_index: 0, volume_size: 2 }
  const data = await makeVolume(c, ctx)
  const id = await create([toVolume(image), toVolume({ source_type: "volume", uuid: data })])
  await c.reaches(id, "ACTIVE")
  const asked = { createImage: { name: "whole", metadata: { purpose: "test" } } }
  const { status, body } = await c.act(id, asked)
  assert.equal(status, 202, JSON.stringify(body))
  const token = c.demo
  const show = async () => (await c.cloud.request("GET", `/image/v2/images/${body.image_id}`, { token })).body
  const made = await eventually("the image", async () => {
    const found = await show()
    return found.status === "active" && found
  })
  assert.deepEqual(
    [made.size, made.purpose, made.bdm_v2, made.root_device_name],
    [0, "test", "True", "/dev/vda"],
  )
  const mapping = JSON.parse(made.block_device_mapping)
  assert.deepEqual(
    mapping.map((each: Record<string, unknown>) => [each.source_type, each.boot_index, each.volume_size]),
    [
      ["snapshot", 0, 2],
      ["snapshot", null, 1],
    ],
  )
  await c.reaches(id, "ACTIVE")
  await remove(id)
  // As clients ask for it: the image by itself, or said once more as what is booted.
  const local = { source_type: "image", destination_type: "local", uuid: body.image_id, boot_index: 0 }
  const big = { ...toVolume({ source_type: "blank", volume_size: 1 }), device_name: "/dev/vdb" }
  for (const more of [{}, { block_device_mapping_v2: [local, big] }]) {
    const next = await c.create({ imageRef: body.image_id, ...more })
    const { "os-extended-volumes:volumes_attached": attached, image } = await c.reaches(next, "ACTIVE")
    assert.deepEqual([attached.length, image], [2, ""])
    const volumes = await volumesOf(next)
    assert.deepEqual(volumes.map(({ device }) => device).sort(), ["/dev/vda", "/dev/vdb"])
    const root = volumes.find(({ device }) => device === "/dev/vda")
    assert.equal((await disksOf(c, next))[0], root?.volumeId)
    await remove(next)
  }
  const many = { name: "vm", flavorRef: c.flavorId, networks: "auto", imageRef: body.image_id, min_count: 2 }
  await c.call("POST", "/servers", { server: many }).then((reply) => assert.equal(reply.status, 202))
  await c.cloud.request("PATCH", `/image/v2/images/${body.image_id}`, {
    token,
    headers: { "content-type": "application/openstack-images-v2.1-json-patch" },
    body: [{ op: "replace", path: "/block_device_mapping", value: "[1]" }],
  })
  const broken = await c.call("POST", "/servers", { server: { ...many, min_count: 1 } })
  assert.equal(broken.status, 400, JSON.stringify(broken.body))
  assert.match(broken.body.badRequest.message, /block_device_mapping is no list of devices/)
})

async function madeImage(
  token: string,
  data: string,
  more: Record<string, string | number>,
): Promise<{ id: string; checksum: string }> {
  const made = await c.cloud.request("POST", "/image/v2/images", {
    token,
    body: { name: "rescue", disk_format: "raw", container_format: "bare", ...more },
  })
  assert.equal(made.status, 201, JSON.stringify(made.body))
  const path = `/image/v2/images/${made.body.id}`
  const put = await fetch(`${c.cloud.baseUrl}${path}/file`, {
    method: "PUT",
    headers: { "x-auth-token": token, "content-type": "application/octet-stream" },
    body: data,
  })
  assert.equal(put.status, 204)
  return (await c.cloud.request("GET", path, { token })).body
}

test("a server that boots from a volume is rescued beside it, by an image that says where its disk goes", async () => {
  const image = { source_type: "image", uuid: c.imageId, boot_index: 0, volume_size: 1 }
  const id = await create([toVolume(image)])
  await c.reaches(id, "ACTIVE")
  const [root] = await volumesOf(id)
  const made = await madeImage(c.demo, "the data of a rescue disk", { hw_rescue_bus: "virtio" })
  const asked = { rescue: { rescue_image_ref: made.id } }
  const early = await c.act(id, asked, { version: "2.86" })
  assert.equal(early.status, 400, JSON.stringify(early.body))
  assert.equal((await c.act(id, asked, { version: "2.87" })).status, 200)
  await c.reaches(id, "RESCUE")
  assert.deepEqual(await disksOf(c, id), [root?.volumeId, "rescue"])
  await volumeIs(c, root?.volumeId ?? "", "in-use")
  assert.equal((await c.act(id, { unrescue: null })).status, 202)
  await c.reaches(id, "ACTIVE")
  assert.deepEqual(await disksOf(c, id), [root?.volumeId])
  await remove(id)
})

async function setImageMetadata(volumeId: string, metadata: Record<string, string>): Promise<void> {
  const path = `/volume/v3/${ctx.caller.projectId}/volumes/${volumeId}/action`
  const body = { "os-set_image_metadata": { metadata } }
  const reply = await c.cloud.request("POST", path, { token: c.demo, body })
  assert.equal(reply.status, 200, JSON.stringify(reply.body))
}

test("a volume's words about its image give nobody an image", async () => {
  const others = await madeImage(c.admin, "another project's data", { visibility: "private" })
  const volumeId = await makeVolume(c, ctx, { imageId: c.imageId, sizeGib: 1 })
  await setImageMetadata(volumeId, {
    ...{ image_id: others.id, checksum: others.checksum, disk_format: "raw", size: "22" },
    ...{ hw_rescue_device: "disk", min_ram: "lots", min_disk: "", os_glance_import_task: "x" },
  })
  const id = await create([toVolume({ source_type: "volume", uuid: volumeId, boot_index: 0 })])
  await c.reaches(id, "ACTIVE")
  const rescued = await c.act(id, { rescue: {} }, { version: "2.87" })
  assert.equal(rescued.status, 400, JSON.stringify(rescued.body))
  assert.match(rescued.body.badRequest.message, /has no image to rescue it with/)
  const rebuilt = await c.act(id, { rebuild: { imageRef: others.id } }, { version: "2.92" })
  assert.equal(rebuilt.status, 400, JSON.stringify(rebuilt.body))
  assert.match(rebuilt.body.badRequest.message, /could not be found/)
  const snapshot = await c.act(id, { createImage: { name: "of words" } })
  const { body } = await c.cloud.request("GET", `/image/v2/images/${snapshot.body.image_id}`, {
    token: c.demo,
  })
  assert.deepEqual([body.min_ram, body.os_glance_import_task], [0, undefined])
  await c.reaches(id, "ACTIVE")
  await remove(id)
  await setImageMetadata(volumeId, { min_disk: "lots" })
  const again = await create([toVolume({ source_type: "volume", uuid: volumeId, boot_index: 0 })])
  await c.reaches(again, "ACTIVE")
  await remove(again)
})

test("without a word a server is rescued with its own image, while its project may use that", async () => {
  const own = await madeImage(c.demo, "the data of a disk of its own", { hw_rescue_device: "disk" })
  const image = { source_type: "image", uuid: own.id, boot_index: 0, volume_size: 1 }
  const onVolume = await create([toVolume(image)])
  const onDisk = await c.create({ imageRef: own.id })
  for (const id of [onVolume, onDisk]) {
    await c.reaches(id, "ACTIVE")
    assert.equal((await c.act(id, { rescue: {} }, { version: "2.87" })).status, 200)
    await c.reaches(id, "RESCUE")
    assert.equal((await disksOf(c, id)).at(-1), "rescue")
    assert.equal((await c.act(id, { unrescue: null })).status, 202)
    await c.reaches(id, "ACTIVE")
  }
  const path = `/image/v2/images/${own.id}/actions/deactivate`
  assert.equal((await c.cloud.request("POST", path, { token: c.admin })).status, 204)
  for (const id of [onVolume, onDisk]) {
    const refused = await c.act(id, { rescue: {} }, { version: "2.87" })
    assert.equal(refused.status, 400, JSON.stringify(refused.body))
    await remove(id)
  }
})

test("no image comes of a server whose volume cannot be copied, and no snapshot stays", async () => {
  const image = { source_type: "image", uuid: c.imageId, boot_index: 0, volume_size: 1 }
  const id = await create([toVolume(image)])
  await c.reaches(id, "ACTIVE")
  c.cloud.volumes.setControl({ failNext: 1 })
  const { body } = await c.act(id, { createImage: { name: "never" } })
  await eventually("the image to go", async () => {
    const path = `/image/v2/images/${body.image_id}`
    return (await c.cloud.request("GET", path, { token: c.demo })).status === 404
  })
  const [action] = (await c.call("GET", `/servers/${id}/os-instance-actions`)).body.instanceActions
  assert.deepEqual([action.action, action.message], ["createImage", "Error"])
  const left = () =>
    c.cloud.database.db
      .selectFrom("block_storage.snapshot")
      .select("id")
      .where("name", "=", "snapshot for never")
      .execute()
  await eventually("the snapshot to go", async () => (await left()).length === 0)
  await c.reaches(id, "ACTIVE")
  await remove(id)
})

test("explain server names the filter of volumes", async () => {
  const volumeId = await makeVolume(c, ctx, { imageId: c.imageId })
  const id = await create([toVolume({ source_type: "volume", uuid: volumeId, boot_index: 0 })])
  await c.reaches(id, "ACTIVE")
  const { db } = c.cloud.database
  await db.updateTable("block_storage.volume").set({ host: "host2" }).where("id", "=", volumeId).execute()
  const { hosts, forUser } = await explainServer(c.cloud.cloud.platform, id)
  assert.deepEqual(
    hosts[0]?.refusals.map(({ by }) => by),
    ["VolumeHost"],
  )
  assert.match(forUser ?? "", /cannot be reached from every host/)
  await db.updateTable("block_storage.volume").set({ host: "host1" }).where("id", "=", volumeId).execute()
  await remove(id)
})
