// Volumes of servers, as users attach and detach them.
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { sql } from "kysely"
import { removeComputeHosts } from "../src/compute/index.ts"
import { eventually } from "../src/platform/clock/clock.ts"
import type { Ctx } from "../src/platform/context/context.ts"
import { newUuid } from "../src/platform/ids/ids.ts"
import { callerOf, contextOf } from "./saga-case.ts"
import { type ServerCloud, startServerCloud } from "./server-cloud.ts"
import { disksOf, makeVolume, volumeIs, volumeNow } from "./volume-cloud.ts"

let c: ServerCloud
let ctx: Ctx
let serverId: string
const at = (id: string, rest = "") => `/servers/${id}/os-volume_attachments${rest}`

before(async () => {
  c = await startServerCloud({ overrides: { "blockStorage.quota.volumes": -1 } })
  ctx = contextOf(c.cloud.cloud.platform, await callerOf(c))
  serverId = await c.create()
  await c.reaches(serverId, "ACTIVE")
})
after(() => c[Symbol.asyncDispose]())

async function attach(volumeId: string, more: object = {}, version = "2.96", id = serverId) {
  return await c.call("POST", at(id), { volumeAttachment: { volumeId, ...more } }, { version })
}

async function detach(volumeId: string, id = serverId) {
  const reply = await c.call("DELETE", at(id, `/${volumeId}`))
  assert.equal(reply.status, 202, JSON.stringify(reply.body))
  await volumeIs(c, volumeId, "available")
}

test("a volume comes to a running server, is shown, and goes", async () => {
  const volumeId = await makeVolume(c, ctx)
  const made = await attach(volumeId, { tag: "db", delete_on_termination: true })
  assert.equal(made.status, 200, JSON.stringify(made.body))
  assert.deepEqual(made.body.volumeAttachment, {
    ...{ id: volumeId, volumeId, serverId, device: "/dev/vdb", tag: "db", delete_on_termination: true },
  })
  const volume = await volumeIs(c, volumeId, "in-use")
  assert.deepEqual(
    volume.attachments.map((each) => [each.serverId, each.device]),
    [[serverId, "/dev/vdb"]],
  )
  assert.deepEqual(await disksOf(c, serverId), ["root", volumeId])
  const shown = async (version: string) =>
    (await c.call("GET", at(serverId, `/${volumeId}`), undefined, { version })).body.volumeAttachment
  const old = { id: volumeId, volumeId, serverId, device: "/dev/vdb" }
  assert.deepEqual(await shown("2.1"), old)
  assert.deepEqual(await shown("2.70"), { ...old, tag: "db" })
  assert.deepEqual(await shown("2.79"), { ...old, tag: "db", delete_on_termination: true })
  const { id: _id, ...newest } = old
  const { bdm_uuid: device, ...rest } = await shown("2.96")
  assert.match(device, /^[0-9a-f-]{36}$/)
  assert.deepEqual(rest, {
    ...newest,
    ...{ tag: "db", delete_on_termination: true, attachment_id: volume.attachments[0]?.id },
  })
  const server = await c.show(serverId)
  assert.deepEqual(server["os-extended-volumes:volumes_attached"], [
    { id: volumeId, delete_on_termination: true },
  ])
  assert.deepEqual((await c.show(serverId, { version: "2.2" }))["os-extended-volumes:volumes_attached"], [
    { id: volumeId },
  ])
  const { body } = await c.call("GET", "/servers/detail")
  assert.deepEqual(body.servers[0]["os-extended-volumes:volumes_attached"][0].id, volumeId)
  await detach(volumeId)
  assert.deepEqual(await disksOf(c, serverId), ["root"])
  assert.deepEqual((await c.call("GET", at(serverId))).body, { volumeAttachments: [] })
  const actions = (await c.call("GET", `/servers/${serverId}/os-instance-actions`)).body.instanceActions
  assert.deepEqual(
    actions.slice(0, 2).map((each: { action: string }) => each.action),
    ["detach_volume", "attach_volume"],
  )
})

test("a volume that grows at a server is among the server's actions", async () => {
  const volumeId = await makeVolume(c, ctx)
  await attach(volumeId)
  await volumeIs(c, volumeId, "in-use")
  const { token, projectId } = { token: c.demo, projectId: ctx.caller.projectId }
  const grown = await c.cloud.request("POST", `/volume/v3/${projectId}/volumes/${volumeId}/action`, {
    token,
    headers: { "openstack-api-version": "volume 3.42" },
    body: { "os-extend": { new_size: 2 } },
  })
  assert.equal(grown.status, 202, JSON.stringify(grown.body))
  const { sizeGib } = await volumeIs(c, volumeId, "in-use")
  assert.equal(sizeGib, 2)
  const actions = `/servers/${serverId}/os-instance-actions`
  const [newest] = (await c.call("GET", actions)).body.instanceActions
  assert.equal(newest.action, "extend_volume")
  const { events } = (await c.call("GET", `${actions}/${newest.request_id}`)).body.instanceAction
  assert.deepEqual(
    events.map((each: { event: string; result: string }) => [each.event, each.result]),
    [["compute_extend_volume", "Success"]],
  )
  // Somebody else may say so, too.
  const event = { name: "volume-extended", server_uuid: serverId, tag: volumeId }
  const how = { token: c.admin }
  assert.equal((await c.call("POST", "/os-server-external-events", { events: [event] }, how)).status, 200)
  const [again, before] = (await c.call("GET", actions)).body.instanceActions
  assert.deepEqual([again.action, before.request_id], ["extend_volume", newest.request_id])
  await detach(volumeId)
})

test("several at once get names of their own, and the list has pages", async () => {
  const ids = await Promise.all([1, 2, 3].map(() => makeVolume(c, ctx)))
  const made = await Promise.all(ids.map((id) => attach(id)))
  assert.deepEqual(made.map(({ body }) => body.volumeAttachment.device).sort(), [
    "/dev/vdb",
    "/dev/vdc",
    "/dev/vdd",
  ])
  for (const id of ids) await volumeIs(c, id, "in-use")
  assert.deepEqual((await disksOf(c, serverId)).sort(), ["root", ...ids].sort())
  const list = async (query: string) =>
    (await c.call("GET", at(serverId, query))).body.volumeAttachments.map(
      (each: { volumeId: string }) => each.volumeId,
    )
  const all = await list("")
  assert.deepEqual([...all].sort(), [...ids].sort())
  assert.deepEqual(await list("?limit=1&offset=1"), [all[1]])
  assert.equal((await c.call("GET", at(serverId, "?limit=x"))).status, 400)
  assert.equal((await c.call("GET", at(serverId, "?marker=1"))).status, 400)
  await Promise.all(ids.map((id) => detach(id)))
  assert.deepEqual(await disksOf(c, serverId), ["root"])
})

test("a machine that is made anew has its volumes: stop, start, reboot, rebuild, resize, rescue, shelve", async () => {
  const volumeId = await makeVolume(c, ctx)
  const id = await c.create()
  await c.reaches(id, "ACTIVE")
  await c.act(id, { "os-stop": null })
  await c.reaches(id, "SHUTOFF")
  assert.equal((await attach(volumeId, {}, "2.96", id)).status, 200)
  await volumeIs(c, volumeId, "in-use")
  const has = async (status: string) => {
    await c.reaches(id, status)
    assert.ok((await disksOf(c, id)).includes(volumeId), status)
  }
  await c.act(id, { "os-start": null })
  await has("ACTIVE")
  await c.act(id, { reboot: { type: "HARD" } })
  await has("ACTIVE")
  await c.act(id, { rebuild: { imageRef: c.imageId } })
  await has("ACTIVE")
  await c.act(id, { rescue: null })
  await has("RESCUE")
  await c.act(id, { unrescue: null })
  await has("ACTIVE")
  await c.act(id, { resize: { flavorRef: "84" } })
  await has("VERIFY_RESIZE")
  await c.act(id, { revertResize: null })
  await has("ACTIVE")
  await c.act(id, { shelve: null })
  await c.reaches(id, "SHELVED_OFFLOADED")
  assert.equal((await volumeNow(c, volumeId))?.status, "in-use")
  await c.act(id, { unshelve: null })
  await has("ACTIVE")
  await c.act(id, { shelve: null })
  await c.reaches(id, "SHELVED_OFFLOADED")
  await detach(volumeId, id)
  await c.call("DELETE", `/servers/${id}`)
  await c.isGone(id)
})

test("a server without a machine is given a volume, and its next machine has it", async () => {
  const id = await c.create()
  await c.reaches(id, "ACTIVE")
  await c.act(id, { shelve: null })
  await c.reaches(id, "SHELVED_OFFLOADED")
  const [kept, taken] = [await makeVolume(c, ctx), await makeVolume(c, ctx)]
  for (const volumeId of [kept, taken]) {
    assert.equal((await attach(volumeId, {}, "2.96", id)).status, 200)
    await volumeIs(c, volumeId, "in-use")
  }
  await detach(taken, id)
  await c.act(id, { unshelve: null })
  await c.reaches(id, "ACTIVE")
  assert.deepEqual(await disksOf(c, id), ["root", kept])
  await detach(kept, id)
  await c.call("DELETE", `/servers/${id}`)
})

test("Nova's old way to volumes and snapshots, until 2.35", async () => {
  const old = (method: string, path: string, body?: unknown) =>
    c.call(method, path, body, { version: "2.35" })
  await makeVolume(c, ctx)
  const made = await old("POST", "/os-volumes", { volume: { size: "1", display_name: "old" } })
  assert.equal(made.status, 200, JSON.stringify(made.body))
  const { id } = made.body.volume
  await volumeIs(c, id, "available")
  const { volume } = (await old("GET", `/os-volumes/${id}`)).body
  assert.deepEqual([volume.displayName, volume.size, volume.attachments], ["old", 1, [{}]])
  const listed = (await old("GET", "/os-volumes/detail?limit=1")).body.volumes
  assert.deepEqual(listed, [volume])
  const wish = { volume_id: id, display_name: "then", force: "True" }
  const { snapshot } = (await old("POST", "/os-snapshots", { snapshot: wish })).body
  await eventually("the snapshot", async () => {
    const shown = (await old("GET", `/os-snapshots/${snapshot.id}`)).body.snapshot
    return shown.status === "available" && shown.volumeId === id
  })
  assert.equal((await old("DELETE", `/os-snapshots/${snapshot.id}`)).status, 202)
  await eventually("its end", async () => (await old("GET", `/os-snapshots/${snapshot.id}`)).status === 404)
  assert.equal((await old("DELETE", `/os-volumes/${id}`)).status, 202)
  for (const [method, path, body, status] of [
    ["POST", "/os-volumes", { volume: { size: "0" } }, 400],
    ["POST", "/os-volumes", { volume: {} }, 400],
    ["GET", "/os-volumes/", undefined, 404],
    ["GET", `/os-volumes/${newUuid()}`, undefined, 404],
  ] as const)
    assert.equal((await old(method, path, body)).status, status, `${method} ${path}`)
  assert.equal((await c.call("GET", "/os-volumes", undefined, { version: "2.36" })).status, 404)
})

test("what is asked wrongly is refused with the reason, and leaves the volume", async () => {
  const volumeId = await makeVolume(c, ctx)
  const refused = async (reply: Promise<{ status: number; body: unknown }>, status: number, why: RegExp) => {
    const { status: is, body } = await reply
    assert.equal(is, status, JSON.stringify(body))
    assert.match(JSON.stringify(body), why)
  }
  await refused(attach(newUuid()), 404, /Volume .* could not be found/)
  await refused(attach(volumeId, {}, "2.96", newUuid()), 404, /Instance/)
  await refused(attach("x"), 400, /volumeId/)
  await refused(attach(volumeId, { device: "vdb x" }), 400, /device/)
  await refused(attach(volumeId, { device: "/dev/vda" }), 409, /\(\/dev\/vda\) is in use/)
  await refused(attach(volumeId, { tag: "a" }, "2.48"), 400, /tag/)
  await refused(attach(volumeId, { delete_on_termination: true }, "2.78"), 400, /delete_on_termination/)
  assert.equal((await volumeNow(c, volumeId))?.status, "available")
  const path = at(serverId, `/${volumeId}`)
  await refused(c.call("GET", path), 404, /is not attached to volume/)
  await refused(c.call("DELETE", path), 404, /is not attached to volume/)
  await refused(c.call("DELETE", at(serverId, "/x")), 404, /is not attached to volume/)
  const other = await makeVolume(c, ctx)
  assert.equal((await attach(volumeId, { device: "/dev/vdx" })).body.volumeAttachment.device, "/dev/vdx")
  await volumeIs(c, volumeId, "in-use")
  await refused(attach(volumeId), 400, /status must be available to reserve it/)
  const put = (body: object, version = "2.96") =>
    c.call("PUT", path, { volumeAttachment: { volumeId, ...body } }, { version })
  assert.equal((await put({ delete_on_termination: true })).status, 202)
  const now = await c.call("GET", path)
  assert.equal(now.body.volumeAttachment.delete_on_termination, true)
  await refused(put({ device: "/dev/vdc" }), 400, /device property is not mutable/)
  await refused(put({ tag: "x" }), 400, /tag property is not mutable/)
  await refused(put({ serverId: newUuid() }), 400, /serverId property is not mutable/)
  await refused(put({ volumeId: other }), 403, /os-volumes-attachments:swap/)
  const swap = (version: string, to = other) =>
    c.call("PUT", path, { volumeAttachment: { volumeId: to } }, { token: c.admin, version })
  await refused(swap("2.1", newUuid()), 400, /could not be found/)
  await refused(swap("2.96"), 409, /is not migrating/)
  await refused(swap("2.1"), 409, /is not migrating/)
  await c.act(serverId, { suspend: null })
  await c.reaches(serverId, "SUSPENDED")
  await refused(attach(other), 409, /Cannot 'attach_volume' instance .* vm_state suspended/)
  await refused(c.call("DELETE", path), 409, /Cannot 'detach_volume' instance .* vm_state suspended/)
  await c.act(serverId, { resume: null })
  await c.reaches(serverId, "ACTIVE")
  await detach(volumeId)
})

test("a deleted server gives its volumes back, and takes along those that are to go with it", async () => {
  const [kept, gone] = [await makeVolume(c, ctx), await makeVolume(c, ctx)]
  const id = await c.create()
  await c.reaches(id, "ACTIVE")
  assert.equal((await attach(kept, {}, "2.96", id)).status, 200)
  assert.equal((await attach(gone, { delete_on_termination: true }, "2.96", id)).status, 200)
  for (const each of [kept, gone]) await volumeIs(c, each, "in-use")
  await c.call("DELETE", `/servers/${id}`)
  await c.isGone(id)
  await volumeIs(c, kept, "available")
  await eventually("the other one to be gone", async () => (await volumeNow(c, gone)) === undefined)
  const rows = await c.cloud.database.db.selectFrom("compute.block_device").select("id").execute()
  assert.deepEqual(rows, [])
})

test("a guest that does not let go keeps its volume, and the action says why", async () => {
  const volumeId = await makeVolume(c, ctx)
  await attach(volumeId)
  await volumeIs(c, volumeId, "in-use")
  c.cloud.hypervisor.setControl({ guestsKeepVolumes: true })
  const reply = await c.call("DELETE", at(serverId, `/${volumeId}`))
  assert.equal(reply.status, 202)
  const path = `/servers/${serverId}/os-instance-actions`
  const requestId = reply.headers.get("x-openstack-request-id")
  const action = await eventually("the action to end", async () => {
    const { body } = await c.call("GET", `${path}/${requestId}`, undefined, { token: c.admin })
    // Action and events are read one after the other: both must have heard of the end.
    return body.instanceAction?.message && body.instanceAction.events.length > 0 && body.instanceAction
  })
  assert.equal(action.message, "Error")
  assert.match(JSON.stringify(action.events), /does not let go/)
  await volumeIs(c, volumeId, "in-use")
  assert.ok((await disksOf(c, serverId)).includes(volumeId))
  c.cloud.hypervisor.setControl({ guestsKeepVolumes: false })
  await detach(volumeId)
})

test("a task that overtakes an attachment does not lose the volume", async () => {
  const ids = await Promise.all([1, 2, 3].map(() => makeVolume(c, ctx)))
  const id = await c.create()
  await c.reaches(id, "ACTIVE")
  for (const volumeId of ids) assert.equal((await attach(volumeId, {}, "2.96", id)).status, 200)
  await c.act(id, { reboot: { type: "HARD" } })
  for (const volumeId of ids) await volumeIs(c, volumeId, "in-use")
  await c.reaches(id, "ACTIVE")
  assert.deepEqual((await disksOf(c, id)).sort(), ["root", ...ids].sort())
  await Promise.all([
    ...ids.map((volumeId) => c.call("DELETE", at(id, `/${volumeId}`))),
    c.act(id, { reboot: { type: "HARD" } }),
  ])
  await c.reaches(id, "ACTIVE")
  for (const volumeId of ids) {
    const left = await c.call("DELETE", at(id, `/${volumeId}`))
    assert.ok([202, 400, 404].includes(left.status), JSON.stringify(left.body))
    await volumeIs(c, volumeId, "available")
  }
  assert.deepEqual(await disksOf(c, id), ["root"])
  await c.call("DELETE", `/servers/${id}`)
  await c.isGone(id)
})

test("another host cannot have the volume, nor can a host with volumes go", async () => {
  const { db } = c.cloud.database
  const volumeId = await makeVolume(c, ctx)
  await db.updateTable("block_storage.volume").set({ host: "host2" }).where("id", "=", volumeId).execute()
  const reply = await attach(volumeId)
  assert.equal(reply.status, 400)
  assert.match(reply.body.badRequest.message, /lies on another host than the server/)
  assert.equal((await volumeNow(c, volumeId))?.status, "available")
  const server = { name: "x", flavorRef: c.flavorId, networks: "none", imageRef: c.imageId }
  const mapping = [
    { source_type: "image", destination_type: "local", uuid: c.imageId, boot_index: 0 },
    { source_type: "volume", destination_type: "volume", uuid: volumeId, boot_index: -1 },
  ]
  const made = await c.call("POST", "/servers", { server: { ...server, block_device_mapping_v2: mapping } })
  const id = made.body.server.id
  const failed = await c.reaches(id, "ERROR")
  assert.match(failed.fault.message, /a volume of the server cannot be reached from every host/)
  await volumeIs(c, volumeId, "available")
  await db.updateTable("block_storage.volume").set({ host: "host1" }).where("id", "=", volumeId).execute()
  await assert.rejects(removeComputeHosts(c.cloud.cloud.platform, ["host1"]), /hosting instances/)
  await db.updateTable("compute.server").set({ host: null }).where("host", "=", "host1").execute()
  await assert.rejects(removeComputeHosts(c.cloud.cloud.platform, ["host1"]), /Host host1 has \d+ volumes/)
  await db.updateTable("compute.server").set({ host: "host1" }).where("id", "=", serverId).execute()
})

test("a server of a host that is away is deleted, and its volumes are free", async () => {
  const { db } = c.cloud.database
  const volumeId = await makeVolume(c, ctx)
  const id = await c.create()
  await c.reaches(id, "ACTIVE")
  await attach(volumeId, {}, "2.96", id)
  await volumeIs(c, volumeId, "in-use")
  await db.updateTable("compute.host").set({ is_forced_down: true }).execute()
  await c.call("DELETE", `/servers/${id}`)
  await c.isGone(id)
  await volumeIs(c, volumeId, "available")
  await db.updateTable("compute.host").set({ is_forced_down: false }).execute()
  assert.ok(
    (await disksOf(c, id)).includes(volumeId),
    "the machine is there until the host is looked at again",
  )
})

test("what a host says of its back ends that the database refuses keeps no host from being noted", async () => {
  const { db } = c.cloud.database
  await sql`alter table block_storage.pool add constraint never check (false) not valid`.execute(db)
  const before = await db.selectFrom("compute.host").select("last_seen_at").executeTakeFirstOrThrow()
  await eventually("the next report", async () => {
    const now = await db.selectFrom("compute.host").select("last_seen_at").executeTakeFirstOrThrow()
    return now.last_seen_at > before.last_seen_at
  })
  await sql`alter table block_storage.pool drop constraint never`.execute(db)
})
