// Volumes that several servers have at once: by whom, what they are meanwhile, and what cannot be done with them then.
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { sql } from "kysely"
import type { Ctx } from "../src/platform/context/context.ts"
import { callerOf, contextOf } from "./saga-case.ts"
import { type ServerCloud, startServerCloud } from "./server-cloud.ts"
import { disksOf, makeVolume, volumeIs, volumeNow } from "./volume-cloud.ts"

// biome-ignore lint/suspicious/noExplicitAny: tests look where they like and fail when it is not there
type Body = any

let c: ServerCloud
let ctx: Ctx
let servers: string[]

const at = (serverId: string, rest = "") => `/servers/${serverId}/os-volume_attachments${rest}`
const attach = (serverId: string, volumeId: string, version = "2.60") =>
  c.call("POST", at(serverId), { volumeAttachment: { volumeId } }, { version })

async function volumeCall(method: string, path: string, body?: Body, token = c.demo) {
  return await c.cloud.request(method, `/volume/v3${path}`, {
    token,
    headers: { "openstack-api-version": "volume 3.70" },
    ...(body === undefined ? {} : { body }),
  })
}

const act = (volumeId: string, action: Body, token?: string) =>
  volumeCall("POST", `/volumes/${volumeId}/action`, action, token)
const shown = async (volumeId: string): Promise<Body> =>
  (await volumeCall("GET", `/volumes/${volumeId}`)).body.volume

async function refused(reply: Promise<{ status: number; body: Body }>, status: number, why: RegExp) {
  const { status: got, body } = await reply
  assert.equal(got, status, JSON.stringify(body))
  assert.match(JSON.stringify(body), why)
}

/** In turn: while one comes or goes, no other does. */
async function attachTo(volumeId: string, serverIds: readonly string[]) {
  for (const serverId of serverIds) {
    const reply = await attach(serverId, volumeId)
    assert.equal(reply.status, 200, JSON.stringify(reply.body))
    await volumeIs(c, volumeId, "in-use")
  }
}

async function detach(serverId: string, volumeId: string, status: string) {
  const reply = await c.call("DELETE", at(serverId, `/${volumeId}`))
  assert.equal(reply.status, 202, JSON.stringify(reply.body))
  await volumeIs(c, volumeId, status)
}

before(async () => {
  c = await startServerCloud({ overrides: { "blockStorage.quota.volumes": -1 } })
  ctx = contextOf(c.cloud.cloud.platform, await callerOf(c))
  const made = await volumeCall(
    "POST",
    "/types",
    { volume_type: { name: "shared", extra_specs: { multiattach: "<is> True" } } },
    c.admin,
  )
  assert.equal(made.status, 200, JSON.stringify(made.body))
  servers = [await c.create(), await c.create()]
  for (const id of servers) await c.reaches(id, "ACTIVE")
})
after(() => c[Symbol.asyncDispose]())

const [one, two] = [() => servers[0] ?? "", () => servers[1] ?? ""]

test("a volume of a type that says so is in two servers at once, and available when the last lets go", async () => {
  const volumeId = await makeVolume(c, ctx, { volumeType: "shared" })
  assert.equal((await shown(volumeId)).multiattach, true)
  await refused(attach(one(), volumeId, "2.59"), 400, /starting with compute API version 2.60/)
  await attachTo(volumeId, servers)
  const { status, attachments } = await shown(volumeId)
  assert.equal(status, "in-use")
  assert.deepEqual(attachments.map((each: Body) => each.server_id).sort(), servers.toSorted())
  for (const id of servers) assert.deepEqual((await disksOf(c, id)).slice(1), [volumeId])
  // Once is enough.
  await refused(attach(one(), volumeId), 400, /has an attachment already/)
  await detach(one(), volumeId, "in-use")
  assert.deepEqual(
    (await shown(volumeId)).attachments.map((each: Body) => each.server_id),
    [two()],
  )
  assert.deepEqual((await disksOf(c, two())).slice(1), [volumeId])
  await detach(two(), volumeId, "available")
  assert.equal((await volumeCall("DELETE", `/volumes/${volumeId}`)).status, 202)
})

test("a volume of another type stays one server's alone", async () => {
  const volumeId = await makeVolume(c, ctx)
  assert.equal((await shown(volumeId)).multiattach, false)
  await attachTo(volumeId, [one()])
  await refused(attach(two(), volumeId), 400, /must be available to reserve/)
  await detach(one(), volumeId, "available")
  await refused(
    volumeCall("POST", "/volumes", { volume: { size: 1, multiattach: true } }),
    400,
    /volume type with the extra spec multiattach/,
  )
})

test("a shared volume that grows does so in each server, and is not copied while several write", async () => {
  const volumeId = await makeVolume(c, ctx, { volumeType: "shared" })
  await attachTo(volumeId, servers)
  assert.equal((await act(volumeId, { "os-extend": { new_size: 2 } })).status, 202)
  await volumeIs(c, volumeId, "in-use")
  for (const id of servers) {
    const [newest] = (await c.call("GET", `/servers/${id}/os-instance-actions`)).body.instanceActions
    assert.equal(newest.action, "extend_volume")
  }
  const image = { "os-volume_upload_image": { image_name: "i", force: true, disk_format: "raw" } }
  const several = /attached more than once/
  const snapshot = { volume_id: volumeId }
  await refused(volumeCall("POST", "/snapshots", { snapshot }), 400, several)
  await refused(volumeCall("POST", "/volumes", { volume: { source_volid: volumeId } }), 400, several)
  await refused(act(volumeId, image), 400, several)
  await refused(
    volumeCall("POST", "/backups", { backup: { volume_id: volumeId, force: true } }),
    400,
    several,
  )
  assert.equal((await volumeNow(c, volumeId))?.status, "in-use")
  await detach(two(), volumeId, "in-use")
  const taken = await volumeCall("POST", "/snapshots", { snapshot })
  assert.equal(taken.status, 202, JSON.stringify(taken.body))
  await detach(one(), volumeId, "available")
})

test("a server that is deleted takes a shared volume from nobody, and boots from one beside another", async () => {
  const volumeId = await makeVolume(c, ctx, { volumeType: "shared", imageId: c.imageId })
  await attachTo(volumeId, [one()])
  const device = { uuid: volumeId, source_type: "volume", destination_type: "volume", boot_index: 0 }
  const wish = { imageRef: "", block_device_mapping_v2: [{ ...device, delete_on_termination: true }] }
  const server = { name: "vm", flavorRef: c.flavorId, networks: "auto", ...wish }
  await refused(
    c.call("POST", "/servers", { server }, { version: "2.59" }),
    400,
    /starting with compute API version 2.60/,
  )
  const booted = await c.create(wish)
  await c.reaches(booted, "ACTIVE")
  assert.equal((await shown(volumeId)).attachments.length, 2)
  await c.call("DELETE", `/servers/${booted}`)
  await c.isGone(booted)
  const { status, attachments } = await shown(volumeId)
  assert.deepEqual([status, attachments.map((each: Body) => each.server_id)], ["in-use", [one()]])
  await detach(one(), volumeId, "available")
})

test("servers that are deleted at once leave a shared volume available", async () => {
  const volumeId = await makeVolume(c, ctx, { volumeType: "shared" })
  const made = [await c.create(), await c.create(), await c.create()]
  for (const id of made) await c.reaches(id, "ACTIVE")
  await attachTo(volumeId, made)
  await Promise.all(made.map((id) => c.call("DELETE", `/servers/${id}`)))
  for (const id of made) await c.isGone(id)
  await volumeIs(c, volumeId, "available")
})

test("a type that shares is taken and left while nobody has the volume", async () => {
  const volumeId = await makeVolume(c, ctx)
  const retype = (new_type: string) => act(volumeId, { "os-retype": { new_type } })
  await attachTo(volumeId, [one()])
  await refused(retype("shared"), 400, /only allowed on available volumes/)
  await detach(one(), volumeId, "available")
  assert.equal((await retype("shared")).status, 202)
  assert.equal((await shown(volumeId)).multiattach, true)
  await attachTo(volumeId, servers)
  await refused(retype("__DEFAULT__"), 400, /only allowed on available volumes/)
  for (const id of servers) await detach(id, volumeId, id === two() ? "available" : "in-use")
})

test("attachments that others look after share a volume, too, each by its own id", async () => {
  const volumeId = await makeVolume(c, ctx, { volumeType: "shared" })
  await attachTo(volumeId, [one()])
  const made: string[] = []
  for (const host of ["away1", "away2"]) {
    const connector = { host }
    const reply = await volumeCall("POST", "/attachments", {
      attachment: { volume_uuid: volumeId, connector },
    })
    assert.equal(reply.status, 200, JSON.stringify(reply.body))
    const { id } = reply.body.attachment
    assert.equal((await volumeCall("POST", `/attachments/${id}/action`, { "os-complete": {} })).status, 204)
    made.push(id)
  }
  assert.equal((await shown(volumeId)).attachments.length, 3)
  await refused(act(volumeId, { "os-detach": {} }), 400, /more than one attachment/)
  const [first = "", second = ""] = made
  assert.equal((await act(volumeId, { "os-detach": { attachment_id: first } })).status, 202)
  assert.equal((await volumeNow(c, volumeId))?.status, "in-use")
  await detach(one(), volumeId, "in-use")
  assert.equal((await volumeCall("DELETE", `/attachments/${second}`)).status, 200)
  assert.equal((await volumeNow(c, volumeId))?.status, "available")
  const left = await sql`select id from block_storage.attachment`.execute(c.cloud.database.db)
  assert.deepEqual(left.rows, [])
})

test("a volume has so many attachments and no more, and a connector is so large and no larger", async () => {
  const volumeId = await makeVolume(c, ctx, { volumeType: "shared" })
  const ask = (connector: object) =>
    volumeCall("POST", "/attachments", { attachment: { volume_uuid: volumeId, connector } })
  const large = (bytes: number) => ({ host: "x".repeat(bytes - JSON.stringify({ host: "" }).length) })
  await refused(ask(large(4_097)), 400, /connector: .*4 KiB/)
  await refused(ask({ host: "é".repeat(2_048) }), 400, /connector: .*4 KiB/)
  assert.equal((await volumeNow(c, volumeId))?.status, "available")
  const ids: string[] = []
  for (let n = 0; n < 64; n++) {
    const { status, body } = await ask(n === 0 ? large(4_096) : { host: "away" })
    assert.equal(status, 200, JSON.stringify(body))
    ids.push(body.attachment.id)
    assert.equal(
      (await volumeCall("POST", `/attachments/${ids[n]}/action`, { "os-complete": {} })).status,
      204,
    )
  }
  const wish = { attachment: { connector: large(4_097) } }
  await refused(volumeCall("PUT", `/attachments/${ids[0]}`, wish), 400, /connector: .*4 KiB/)
  const many = /has 64 attachments/
  await refused(ask({ host: "away" }), 400, many)
  await refused(act(volumeId, { "os-attach": { host_name: "h", mountpoint: "/dev/vdb" } }), 400, many)
  await refused(attach(one(), volumeId), 400, many)
  const { attachments } = (await volumeCall("GET", `/attachments/detail?volume_id=${volumeId}`)).body
  assert.deepEqual(attachments[0].connection_info, { driver_volume_type: "local" })
  for (const id of ids) assert.equal((await volumeCall("DELETE", `/attachments/${id}`)).status, 200)
})
