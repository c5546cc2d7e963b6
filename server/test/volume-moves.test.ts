// Volumes that go to another back end of their host, over HTTP: by operators, and by a type that asks for it.
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { eventually } from "../src/platform/clock/clock.ts"
import { type ServerCloud, startServerCloud } from "./server-cloud.ts"

let c: ServerCloud
before(async () => {
  c = await startServerCloud({ hasOtherBackend: true })
  await eventually("the back ends", async () => (await promised()).size === 2)
  const made = await ok(
    "POST",
    "/types",
    { volume_type: { name: "other", extra_specs: { volume_backend_name: "fake2" } } },
    c.admin,
  )
  assert.equal(made.volume_type.name, "other")
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

const seen = async (id: string): Promise<Body> =>
  (await ok("GET", `/volumes/${id}`, undefined, c.admin)).volume

async function isNow(id: string, wanted: Record<string, unknown>): Promise<Body> {
  return await eventually(`volume ${id} to be ${JSON.stringify(wanted)}`, async () => {
    const volume = await seen(id)
    return Object.entries(wanted).every(([key, value]) => volume[key] === value) && volume
  })
}

async function makeVolume(wish: Body = {}): Promise<string> {
  const { volume } = await ok("POST", "/volumes", { volume: { size: 1, ...wish } })
  await isNow(volume.id, { status: "available" })
  return volume.id
}

async function remove(id: string): Promise<void> {
  await ok("DELETE", `/volumes/${id}?cascade=true`)
  await eventually("volume to be gone", async () => (await call("GET", `/volumes/${id}`)).status === 404)
}

/** GiB by back end. */
async function promised(): Promise<Map<string, number>> {
  const rows = await c.cloud.database.db
    .selectFrom("block_storage.pool")
    .select(["backend", "promised_bytes"])
    .execute()
  return new Map(rows.map((row) => [row.backend, Number(row.promised_bytes) / 1024 ** 3]))
}

const act = (id: string, body: Body, token = c.admin, version = "3.70") =>
  call("POST", `/volumes/${id}/action`, body, token, version)
const migrate = (id: string, more: Body = {}) =>
  act(id, { "os-migrate_volume": { host: "host1@fake2#fake2", ...more } })

async function refused(reply: Promise<{ status: number; body: Body }>, status: number, pattern: RegExp) {
  const { status: got, body } = await reply
  assert.equal(got, status, JSON.stringify(body))
  assert.match(JSON.stringify(body), pattern)
}

async function isIn(id: string, backend: string): Promise<void> {
  for (const each of ["fake", "fake2"]) {
    const { volume } = await c.cloud.cloud.agent.agent.handle("volume.inspect", {
      volumeId: id,
      backend: each,
    })
    assert.equal(volume !== null, each === backend, `${each} of ${backend}`)
  }
}

test("an operator moves a volume: data, room and place go, and its owner sees the same volume", async () => {
  const id = await makeVolume({ size: 2, name: "data" })
  const before = await seen(id)
  assert.deepEqual([before.migration_status, before["os-vol-mig-status-attr:migstat"]], [null, null])
  assert.deepEqual([...(await promised())].sort(), [
    ["fake", 2],
    ["fake2", 0],
  ])
  assert.equal((await migrate(id)).status, 202)
  const moved = await isNow(id, { migration_status: "success" })
  assert.equal(moved["os-vol-mig-status-attr:migstat"], "success")
  assert.equal(moved["os-vol-host-attr:host"], "host1@fake2#fake2")
  assert.deepEqual([moved.status, moved.name, moved.size], ["available", "data", 2])
  assert.deepEqual([...(await promised())].sort(), [
    ["fake", 0],
    ["fake2", 2],
  ])
  await isIn(id, "fake2")
  const own = (await ok("GET", `/volumes/${id}`)).volume
  assert.equal("migration_status" in own, false, "how it moves is for administrators")
  await act(id, { "os-reset_status": { migration_status: "none" } })
  assert.equal((await seen(id)).migration_status, null)
  await remove(id)
  assert.deepEqual([...(await promised())].sort(), [
    ["fake", 0],
    ["fake2", 0],
  ])
})

test("while a volume is on its way nobody else takes it, and its status says so if it is locked", async () => {
  const id = await makeVolume()
  c.cloud.others.setControl({ delayMs: 600_000 })
  try {
    assert.equal((await migrate(id, { lock_volume: "True" })).status, 202)
    const { status, migration_status: how } = await seen(id)
    assert.equal(status, "maintenance")
    assert.match(how, /^(starting|migrating)$/)
    const moving = /must not be migrating/
    await refused(act(id, { "os-extend": { new_size: 2 } }, c.demo), 400, moving)
    await refused(act(id, { "os-retype": { new_type: "other" } }, c.demo), 400, moving)
    await refused(act(id, { "os-force_delete": {} }), 400, moving)
    await refused(act(id, { "os-reset_status": { status: "error" } }), 400, moving)
    await refused(migrate(id), 400, moving)
    await refused(call("DELETE", `/volumes/${id}`), 400, moving)
    c.cloud.others.setControl({ delayMs: 0 })
    await isNow(id, { migration_status: "success", status: "available" })
    // Without the lock it looks as it did.
    c.cloud.others.setControl({ delayMs: 600_000 })
    assert.equal((await act(id, { "os-migrate_volume": { host: "host1@fake" } })).status, 202)
    assert.equal((await seen(id)).status, "available")
    await refused(call("POST", "/snapshots", { snapshot: { volume_id: id } }), 400, moving)
    await refused(call("POST", "/volumes", { volume: { size: 1, source_volid: id } }), 400, moving)
    c.cloud.others.setControl({ delayMs: 0 })
    await isNow(id, { migration_status: "success" })
  } finally {
    c.cloud.others.setControl({ delayMs: 0 })
  }
  await remove(id)
})

test("what cannot be moved is refused with the reason", async () => {
  const id = await makeVolume()
  const target = (host: Body, more = {}) => act(id, { "os-migrate_volume": { host, ...more } })
  await refused(target("host1@fake"), 400, /must be another than host1@fake/)
  await refused(target("nowhere@fake2"), 400, /Invalid host: No available service named 'nowhere@fake2'/)
  await refused(target("x".repeat(256)), 400, /host/)
  await refused(target(7), 400, /host/)
  await refused(target(null), 400, /one and only one of host and cluster/)
  await refused(target("host1@fake2", { cluster: "c" }), 400, /one and only one/)
  await refused(target(null, { cluster: "c" }), 400, /No available service named 'c'/)
  await refused(target("host1@fake2", { lock_volume: "perhaps" }), 400, /lock_volume/)
  await refused(target("host1@fake2", { force_host_copy: "perhaps" }), 400, /force_host_copy/)
  await refused(act(id, { "os-migrate_volume": { host: "host1@fake2" } }, c.demo), 403, /migrate_volume/)
  await ok("PUT", "/os-services/disable", { binary: "cinder-volume", host: "host1@fake2" }, c.admin)
  await refused(target("host1@fake2"), 400, /No available service/)
  await ok("PUT", "/os-services/enable", { binary: "cinder-volume", host: "host1@fake2" }, c.admin)
  await ok("POST", "/snapshots", { snapshot: { volume_id: id } })
  await refused(target("host1@fake2"), 400, /must not have snapshots/)
  await eventually(
    "the snapshot",
    async () => (await ok("GET", "/snapshots/detail")).snapshots[0].status === "available",
  )
  await remove(id)
  assert.deepEqual([...(await promised())].sort(), [
    ["fake", 0],
    ["fake2", 0],
  ])
})

test("a group's volumes stay on its back end, and one that is on its way comes into none", async () => {
  await ok("POST", "/group_types", { group_type: { name: "together" } }, c.admin)
  const wish = { group_type: "together", volume_types: ["__DEFAULT__"] }
  const { group } = await ok("POST", "/groups", { group: wish })
  const place = async () =>
    (await ok("GET", `/groups/${group.id}`, undefined, c.admin)).group.status === "available"
  await eventually("the group to have a place", place)
  // It has chosen either of the two, and its volumes lie there.
  const id = await makeVolume({ group_id: group.id, volume_type: "__DEFAULT__" })
  const { "os-vol-host-attr:host": host } = await seen(id)
  const other = host.startsWith("host1@fake2") ? "host1@fake" : "host1@fake2"
  await refused(act(id, { "os-migrate_volume": { host: other } }), 400, /must not be part of a group/)
  const update = (body: Body) => call("PUT", `/groups/${group.id}`, { group: body })
  assert.equal((await update({ remove_volumes: id })).status, 202)
  for (const driver of [c.cloud.volumes, c.cloud.others]) driver.setControl({ delayMs: 600_000 })
  try {
    assert.equal((await act(id, { "os-migrate_volume": { host: other } })).status, 202)
    await refused(update({ add_volumes: id }), 400, /must not be migrating/)
    for (const driver of [c.cloud.volumes, c.cloud.others]) driver.setControl({ delayMs: 0 })
    await isNow(id, { migration_status: "success" })
  } finally {
    for (const driver of [c.cloud.volumes, c.cloud.others]) driver.setControl({ delayMs: 0 })
  }
  await refused(update({ add_volumes: id }), 400, /another back end/)
  await remove(id)
  await ok("POST", `/groups/${group.id}/action`, { delete: { "delete-volumes": false } })
})

test("a back end that fails leaves the volume where it was, and says so", async () => {
  const id = await makeVolume()
  c.cloud.others.setControl({ failNext: 1 })
  assert.equal((await migrate(id, { lock_volume: true })).status, 202)
  const failed = await isNow(id, { migration_status: "error" })
  assert.deepEqual([failed.status, failed["os-vol-host-attr:host"]], ["available", "host1@fake#fake"])
  assert.deepEqual([...(await promised())].sort(), [
    ["fake", 1],
    ["fake2", 0],
  ])
  await isIn(id, "fake")
  const { messages } = await ok("GET", `/messages?resource_uuid=${id}`)
  assert.equal(messages.length, 1)
  assert.equal((await migrate(id)).status, 202)
  await isNow(id, { migration_status: "success" })
  await remove(id)
})

test("a type of another back end moves the volume on demand, and never by itself", async () => {
  const id = await makeVolume()
  const retype = (policy?: string) =>
    act(id, { "os-retype": { new_type: "other", ...(policy ? { migration_policy: policy } : {}) } }, c.demo)
  await refused(retype(), 400, /Retype requires migration but is not allowed/)
  await refused(retype("never"), 400, /Retype requires migration but is not allowed/)
  await refused(retype("always"), 400, /migration_policy/)
  assert.equal((await seen(id)).status, "available")
  assert.equal((await retype("on-demand")).status, 202)
  const moved = await isNow(id, { migration_status: "success" })
  assert.deepEqual(
    [moved.volume_type, moved.status, moved["os-vol-host-attr:host"]],
    ["other", "available", "host1@fake2#fake2"],
  )
  await isIn(id, "fake2")
  // Where it is fits this one as well.
  await ok("POST", `/volumes/${id}/action`, {
    "os-retype": { new_type: "__DEFAULT__", migration_policy: "never" },
  })
  const again = await seen(id)
  assert.deepEqual([again.volume_type, again["os-vol-host-attr:host"]], ["__DEFAULT__", "host1@fake2#fake2"])
  await remove(id)
})

test("a type that no back end is like moves nothing", async () => {
  const { volume_type: type } = await ok(
    "POST",
    "/types",
    { volume_type: { name: "nowhere", extra_specs: { volume_backend_name: "none" } } },
    c.admin,
  )
  const id = await makeVolume()
  const retype = { "os-retype": { new_type: type.id, migration_policy: "on-demand" } }
  await refused(act(id, retype, c.demo), 409, /No valid backend was found/)
  assert.deepEqual([(await seen(id)).status, (await seen(id)).volume_type], ["available", "__DEFAULT__"])
  await remove(id)
})

async function withServer(run: (serverId: string, volumeId: string) => Promise<void>): Promise<void> {
  const id = await makeVolume()
  const serverId = await c.create()
  await c.reaches(serverId, "ACTIVE")
  const attach = await c.call("POST", `/servers/${serverId}/os-volume_attachments`, {
    volumeAttachment: { volumeId: id },
  })
  assert.equal(attach.status, 200, JSON.stringify(attach.body))
  await isNow(id, { status: "in-use" })
  await run(serverId, id)
  if ((await call("GET", `/volumes/${id}`)).status === 200) await remove(id)
}

/** The back end that the machine's disk is of. */
async function diskOf(serverId: string, volumeId: string): Promise<string | undefined> {
  const asked = { serverIds: [serverId] }
  const { here } = await c.cloud.cloud.agent.agent.handle("host.unknown", asked)
  for (const { source } of here.flatMap(({ spec }) => spec?.disks ?? []))
    if (source.kind === "volume" && source.volumeId === volumeId) return source.backend
  return undefined
}

test("a server's volume moves under it: it stays in use, and its machine goes on with it where it is", async () => {
  await withServer(async (serverId, id) => {
    c.cloud.hypervisor.setControl({ copyMs: 600_000 })
    assert.equal((await migrate(id, { lock_volume: true })).status, 202)
    assert.equal((await seen(id)).status, "in-use")
    const detach = await c.call("DELETE", `/servers/${serverId}/os-volume_attachments/${id}`)
    assert.ok(detach.status >= 400 && detach.status < 500, `while it moves: ${detach.status}`)
    c.cloud.hypervisor.setControl({ copyMs: 0 })
    const moved = await isNow(id, { migration_status: "success" })
    assert.deepEqual([moved.status, moved["os-vol-host-attr:host"]], ["in-use", "host1@fake2#fake2"])
    await isIn(id, "fake2")
    assert.equal(await diskOf(serverId, id), "fake2")
    assert.equal((await c.act(serverId, { reboot: { type: "HARD" } })).status, 202)
    await c.reaches(serverId, "ACTIVE")
    assert.equal(await diskOf(serverId, id), "fake2")
    const back = { "os-retype": { new_type: "other", migration_policy: "never" } }
    assert.equal((await act(id, back, c.demo)).status, 202)
    assert.equal((await c.call("DELETE", `/servers/${serverId}/os-volume_attachments/${id}`)).status, 202)
    await isNow(id, { status: "available" })
    await c.call("DELETE", `/servers/${serverId}`)
    await c.isGone(serverId)
  })
})

test("a server is deleted while its volume moves: the volume arrives, and nobody has it", async () => {
  await withServer(async (serverId, id) => {
    c.cloud.hypervisor.setControl({ copyMs: 600_000 })
    const retype = { "os-retype": { new_type: "other", migration_policy: "on-demand" } }
    assert.equal((await act(id, retype, c.demo)).status, 202)
    assert.equal((await seen(id)).status, "retyping")
    assert.equal((await c.call("DELETE", `/servers/${serverId}`)).status, 204)
    await c.isGone(serverId)
    c.cloud.hypervisor.setControl({ copyMs: 0 })
    const moved = await isNow(id, { migration_status: "success" })
    assert.deepEqual([moved.status, moved.attachments, moved.volume_type], ["available", [], "other"])
    await isIn(id, "fake2")
  })
  assert.deepEqual([...(await promised())].sort(), [
    ["fake", 0],
    ["fake2", 0],
  ])
})

test("volumes on their way to a type count for it, however many set out at once", async () => {
  const { project_id: project } = await c.cloud.database.db
    .selectFrom("block_storage.volume")
    .select("project_id")
    .where("id", "=", await makeVolume())
    .executeTakeFirstOrThrow()
  const limits = `/os-quota-sets/${project}`
  await ok("PUT", limits, { quota_set: { volumes_other: 2, gigabytes_other: 2 } }, c.admin)
  const ids = [await makeVolume(), await makeVolume(), await makeVolume(), await makeVolume()]
  const used = async () => {
    const { quota_set: all } = await ok("GET", `${limits}?usage=true`)
    return [all.volumes_other.in_use, all.gigabytes_other.in_use, all.volumes___DEFAULT__.in_use]
  }
  const [, , before] = await used()
  c.cloud.others.setControl({ delayMs: 600_000 })
  const retype = { "os-retype": { new_type: "other", migration_policy: "on-demand" } }
  const replies = await Promise.all(ids.map((id) => act(id, retype, c.demo)))
  const started = ids.filter((_, n) => replies[n]?.status === 202)
  assert.deepEqual(replies.map(({ status }) => status).sort(), [202, 202, 413, 413])
  assert.deepEqual(await used(), [2, 2, before], "of both types until they are there")
  const { volume_types: types } = await ok("GET", "/types")
  const { id: other } = types.find(({ name }: Body) => name === "other")
  await refused(call("DELETE", `/types/${other}`, undefined, c.admin), 400, /volumes or groups present/)
  c.cloud.others.setControl({ delayMs: 0 })
  for (const id of started) await isNow(id, { status: "available", volume_type: "other" })
  assert.deepEqual(await used(), [2, 2, before - 2])
  for (const id of ids) await remove(id)
  assert.deepEqual((await used()).slice(0, 2), [0, 0])
  await ok("DELETE", limits, undefined, c.admin)
})
