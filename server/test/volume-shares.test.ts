// Volumes in storage that two hosts reach: any of them can have one, nobody copies it, and its room counts once. Real
// files and real agents, joined at the door; machines are simulated.
import assert from "node:assert/strict"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { after, before, test } from "node:test"
import { removeLeftovers } from "../src/block-storage/leftover/leftovers.reconciler.ts"
import type { MemberAgent } from "../src/launch/joined/member-agent.ts"
import { eventually } from "../src/platform/clock/clock.ts"
import { type Asked, HostsCloud } from "./hosts-cloud.ts"
import { sharedRoomGib as roomGib, startSharingHost } from "./sharing-host.ts"

const words = "what the guest wrote"

let at: HostsCloud
const agents: MemberAgent[] = []

before(async () => {
  at = await HostsCloud.start({ "blockStorage.oversubscriptionRatio": 1, "blockStorage.quota.volumes": -1 })
  for (const name of ["host2", "host3"]) agents.push((await startSharingHost(at, name)).agent)
  for (const backend of ["nas", "odd", "own"]) {
    const spec = { name: backend, extra_specs: { volume_backend_name: backend } }
    await ok("POST", "/volume/v3/types", { volume_type: spec })
  }
  const many = { volume_backend_name: "nas", multiattach: "<is> True" }
  await ok("POST", "/volume/v3/types", { volume_type: { name: "many", extra_specs: many } })
  await eventually("the back ends", async () => (await pools()).length === 6)
})
after(async () => {
  for (const agent of agents) await agent.stop({ guests: "leave", graceMs: 0 })
  await at?.[Symbol.asyncDispose]()
})

// biome-ignore lint/suspicious/noExplicitAny: tests look where they like and fail when it is not there
type Body = any

const call = (...request: Asked) => at.call(...request)
const ok = (...request: Asked) => at.ok(...request)

/** Of joined hosts. */
async function pools(): Promise<{ name: string; promisedGib: number }[]> {
  const { pools: all } = await ok("GET", "/volume/v3/scheduler-stats/get_pools?detail=true")
  return all
    .filter(({ name }: Body) => /^host[23]@/.test(name))
    .map(({ name, capabilities }: Body) => ({
      name: name.replace(/#.*/, ""),
      promisedGib: capabilities.provisioned_capacity_gb,
    }))
}

const promisedOf = async (pool: string) => (await pools()).find(({ name }) => name === pool)?.promisedGib

const volumePath = (id: string, rest = "") => `/volume/v3/volumes/${id}${rest}`
const seen = async (id: string): Promise<Body> => (await ok("GET", volumePath(id))).volume

async function isNow(id: string, wanted: Record<string, unknown>): Promise<Body> {
  return await eventually(`volume ${id} to be ${JSON.stringify(wanted)}`, async () => {
    const volume = await seen(id)
    return Object.entries(wanted).every(([key, value]) => volume[key] === value) && volume
  })
}

const placeOf = async (id: string): Promise<string> =>
  (await seen(id))["os-vol-host-attr:host"].replace(/#.*/, "")

async function makeVolume(type: string, more: Body = {}): Promise<string> {
  const wish = { size: 1, volume_type: type, ...more }
  const { volume } = await ok("POST", "/volume/v3/volumes", { volume: wish })
  await isNow(volume.id, { status: "available" })
  return volume.id
}

async function makeSnapshot(volumeId: string): Promise<string> {
  const { snapshot } = await ok("POST", "/volume/v3/snapshots", {
    snapshot: { volume_id: volumeId },
  })
  await eventually("the snapshot", async () => {
    const { status } = (await ok("GET", `/volume/v3/snapshots/${snapshot.id}`)).snapshot
    assert.notEqual(status, "error")
    return status === "available"
  })
  return snapshot.id
}

async function removeVolume(id: string): Promise<void> {
  await ok("DELETE", volumePath(id, "?cascade=true"))
  await eventually("the volume to be gone", async () => (await call("GET", volumePath(id))).status === 404)
}

const fileOf = (backend: string, id: string) => join(at.scratch, backend, id, "volume.raw")
const migrate = (id: string, host: string) =>
  call("POST", volumePath(id, "/action"), { "os-migrate_volume": { host } })

/** What waits to be removed is removed now. */
async function cleanUp(): Promise<void> {
  await removeLeftovers(at.cloud.cloud.platform, new AbortController().signal)
}

async function makeServer(host: string | null, more: Body = {}): Promise<string> {
  const where = host === null ? {} : { availability_zone: `nova:${host}` }
  const server = { name: "vm", flavorRef: "42", networks: "none", ...where, ...more }
  const made = await ok("POST", "/compute/v2.1/servers", { server })
  await serverIs(made.server.id, "ACTIVE")
  return made.server.id
}

async function serverIs(id: string, status: string): Promise<Body> {
  return await eventually(`server ${id} to be ${status}`, async () => {
    const { server } = await ok("GET", `/compute/v2.1/servers/${id}`)
    if (server.status === "ERROR") assert.fail(JSON.stringify(server.fault))
    return server.status === status && server["OS-EXT-STS:task_state"] === null && server
  })
}

const blankRoot = (type: string) => ({
  block_device_mapping_v2: [
    {
      ...{ boot_index: 0, source_type: "blank", destination_type: "volume", volume_size: 1 },
      ...{ volume_type: type, delete_on_termination: true },
    },
  ],
})

async function removeServer(id: string): Promise<void> {
  await ok("DELETE", `/compute/v2.1/servers/${id}`)
  await eventually("the server to be gone", async () => {
    return (await call("GET", `/compute/v2.1/servers/${id}`)).status === 404
  })
}

const attach = (serverId: string, volumeId: string) =>
  call("POST", `/compute/v2.1/servers/${serverId}/os-volume_attachments`, { volumeAttachment: { volumeId } })

async function detach(serverId: string, volumeId: string): Promise<void> {
  await ok("DELETE", `/compute/v2.1/servers/${serverId}/os-volume_attachments/${volumeId}`)
}

test("a volume that goes to another host of its share stays where it is, with its snapshots", async () => {
  const id = await makeVolume("nas")
  writeFileSync(fileOf("nas", id), words, { flag: "r+" })
  const snapshotId = await makeSnapshot(id)
  const from = await placeOf(id)
  const to = from === "host2@nas" ? "host3@nas" : "host2@nas"
  assert.equal((await migrate(id, to)).status, 202)
  await isNow(id, { status: "available", migration_status: "success" })
  assert.equal(await placeOf(id), to)
  await cleanUp()
  assert.equal(readFileSync(fileOf("nas", id)).subarray(0, words.length).toString(), words)
  assert.ok(existsSync(fileOf("nas", snapshotId)))
  // The host that has it now works on both.
  await ok("POST", volumePath(id, "/action"), { "os-extend": { new_size: 2 } })
  await isNow(id, { status: "available", size: 2 })
  await removeVolume(id)
  await eventually("its data to be gone", () => !existsSync(fileOf("nas", id)))
  assert.equal(existsSync(fileOf("nas", snapshotId)), false)
  assert.deepEqual([await promisedOf("host2@nas"), await promisedOf("host3@nas")], [0, 0])
})

test("two hosts that do not know that they share their storage do not move a volume, and lose none", async () => {
  const id = await makeVolume("odd")
  writeFileSync(fileOf("odd", id), words, { flag: "r+" })
  const from = await placeOf(id)
  assert.equal((await migrate(id, from === "host2@odd" ? "host3@odd" : "host2@odd")).status, 202)
  await isNow(id, { status: "available", migration_status: "error" })
  assert.equal(await placeOf(id), from)
  await cleanUp()
  assert.equal(readFileSync(fileOf("odd", id)).subarray(0, words.length).toString(), words)
  await removeVolume(id)
})

test("the room of what hosts share is one room", async () => {
  const ids = []
  for (let n = 0; n < 4; n++) ids.push(await makeVolume("nas"))
  for (const id of ids) if ((await placeOf(id)) === "host2@nas") await migrate(id, "host3@nas")
  for (let n = 0; n < 4; n++) ids.push(await makeVolume("nas"))
  assert.deepEqual([await promisedOf("host2@nas"), await promisedOf("host3@nas")], [roomGib, roomGib])
  const { volume } = await ok("POST", "/volume/v3/volumes", { volume: { size: 1, volume_type: "nas" } })
  await isNow(volume.id, { status: "error" })
  await removeVolume(volume.id)
  // Several at once do not take the last of it together.
  for (const id of ids.splice(0, 2)) await removeVolume(id)
  const asked = await Promise.all(
    Array.from({ length: 4 }, () =>
      ok("POST", "/volume/v3/volumes", { volume: { size: 1, volume_type: "nas" } }),
    ),
  )
  const statuses = []
  for (const one of asked) {
    ids.push(one.volume.id)
    const ended = await eventually("it to be made or not", async () => {
      const { status } = await seen(one.volume.id)
      return status !== "creating" && status
    })
    statuses.push(ended)
  }
  assert.deepEqual(statuses.sort(), ["available", "available", "error", "error"])
  await Promise.all(ids.map(removeVolume))
})

test("a server of any host that reaches it gets a volume, and what works on it goes there too", async () => {
  const id = await makeVolume("nas")
  const snapshotId = await makeSnapshot(id)
  for (const [n, host] of ["host2", "host3", "host2"].entries()) {
    const serverId = await makeServer(host, blankRoot("own"))
    const reply = await attach(serverId, id)
    assert.equal(reply.status, 200, JSON.stringify(reply.body))
    await isNow(id, { status: "in-use" })
    assert.equal(await placeOf(id), `${host}@nas`)
    // The host whose machine has it makes it larger, and shows that to the guest.
    await ok("POST", volumePath(id, "/action"), { "os-extend": { new_size: n + 2 } })
    await isNow(id, { status: "in-use", size: n + 2 })
    assert.match(
      JSON.stringify((await migrate(id, host === "host2" ? "host3@nas" : "host2@nas")).body),
      /available/,
    )
    await detach(serverId, id)
    await isNow(id, { status: "available" })
    await removeServer(serverId)
  }
  const { body } = await call("GET", `/volume/v3/snapshots/${snapshotId}`)
  assert.equal(body.snapshot.status, "available")
  await removeVolume(id)
  assert.equal(await promisedOf("host3@nas"), 0)
})

test("while it is copied, or a group has it, it comes to no other host", async () => {
  const id = await makeVolume("nas")
  const snapshotId = await makeSnapshot(id)
  const other = (await placeOf(id)) === "host2@nas" ? "host3" : "host2"
  const serverId = await makeServer(other, blankRoot("own"))
  const { db } = at.cloud.database
  const snapshotIs = (status: string) =>
    db.updateTable("block_storage.snapshot").set({ status }).where("id", "=", snapshotId).execute()
  await snapshotIs("creating")
  const refused = await attach(serverId, id)
  assert.equal(refused.status, 400)
  assert.match(JSON.stringify(refused.body), /cannot come to another host now: its snapshot .* is creating/)
  await isNow(id, { status: "available" })
  await snapshotIs("available")
  assert.equal((await attach(serverId, id)).status, 200)
  await isNow(id, { status: "in-use" })
  await removeServer(serverId)
  await isNow(id, { status: "available" })
  await removeVolume(id)
})

test("of several that have a volume at once all are on one host", async () => {
  const id = await makeVolume("many")
  const [first, second, third] = [
    await makeServer("host3", blankRoot("own")),
    await makeServer("host2", blankRoot("own")),
    await makeServer("host3", blankRoot("own")),
  ]
  assert.equal((await attach(first, id)).status, 200)
  await isNow(id, { status: "in-use" })
  const refused = await attach(second, id)
  assert.equal(refused.status, 400)
  assert.match(JSON.stringify(refused.body), /others have it/)
  assert.equal((await attach(third, id)).status, 200)
  await eventually("both to have it", async () => (await seen(id)).attachments.length === 2)
  for (const serverId of [first, second, third]) await removeServer(serverId)
  await isNow(id, { status: "available" })
  await removeVolume(id)
})

test("what is one host's alone comes to no server of another", async () => {
  const id = await makeVolume("own")
  const other = (await placeOf(id)) === "host2@own" ? "host3" : "host2"
  const serverId = await makeServer(other, blankRoot("own"))
  const refused = await attach(serverId, id)
  assert.equal(refused.status, 400)
  assert.match(JSON.stringify(refused.body), /lies on another host/)
  await isNow(id, { status: "available" })
  await removeServer(serverId)
  await removeVolume(id)
})

test("a volume comes to no other host while a machine of its own may have it, whatever the rows say", async () => {
  const id = await makeVolume("nas")
  const [first, second] = [
    await makeServer("host2", blankRoot("own")),
    await makeServer("host3", blankRoot("own")),
  ]
  assert.equal((await attach(first, id)).status, 200)
  await isNow(id, { status: "in-use" })
  // As when its server was deleted while the host was cut off.
  const { db } = at.cloud.database
  await db.deleteFrom("compute.block_device").where("volume_id", "=", id).execute()
  await db.deleteFrom("block_storage.attachment").where("volume_id", "=", id).execute()
  await db.updateTable("block_storage.volume").set({ status: "available" }).where("id", "=", id).execute()
  const silent = () =>
    db
      .updateTable("block_storage.pool")
      .set({ reported_at: new Date(0) })
      .where("host", "=", "host2")
      .execute()
  await silent()
  const refused = await attach(second, id)
  assert.equal(refused.status, 400)
  assert.match(JSON.stringify(refused.body), /host that had it last does not answer/)
  agents[0]?.role.agent.sayAlive()
  await eventually("the host's report", async () => {
    const pool = await db
      .selectFrom("block_storage.pool")
      .select("reported_at")
      .where("name", "=", "host2@nas")
      .executeTakeFirstOrThrow()
    return pool.reported_at.getTime() > 0
  })
  const notMoved = await migrate(id, "host3@nas")
  assert.equal(notMoved.status, 400)
  assert.match(JSON.stringify(notMoved.body), /still has it/)
  assert.equal((await attach(second, id)).status, 200)
  await isNow(id, { status: "available" })
  assert.equal(await placeOf(id), "host2@nas")
  await removeServer(first)
  assert.equal((await attach(second, id)).status, 200)
  await isNow(id, { status: "in-use" })
  assert.equal(await placeOf(id), "host3@nas")
  await removeServer(second)
  await isNow(id, { status: "available" })
  await removeVolume(id)
})

const rootVolume = (id: string) => ({
  block_device_mapping_v2: [{ boot_index: 0, source_type: "volume", destination_type: "volume", uuid: id }],
})

test("a server that begins with volumes, or is unshelved, comes to any host that reaches them", async () => {
  const id = await makeVolume("nas")
  const snapshotId = await makeSnapshot(id)
  await ok("POST", volumePath(id, "/action"), { "os-set_bootable": { bootable: true } })
  const host = (await placeOf(id)) === "host2@nas" ? "host3" : "host2"
  const back = host === "host2" ? "host3" : "host2"
  const serverId = await makeServer(host, rootVolume(id))
  assert.equal(await placeOf(id), `${host}@nas`)
  await ok("POST", `/compute/v2.1/servers/${serverId}/action`, { shelve: null })
  await serverIs(serverId, "SHELVED_OFFLOADED")
  await ok("POST", `/compute/v2.1/servers/${serverId}/action`, { unshelve: { host: back } })
  const server = await serverIs(serverId, "ACTIVE")
  assert.equal(server["OS-EXT-SRV-ATTR:host"], back)
  assert.equal(await placeOf(id), `${back}@nas`)
  const [attachment] = (await seen(id)).attachments
  assert.equal(attachment.host_name, back)
  // A snapshot that lies with one host is made a volume of, for a server of another.
  const mapping = { boot_index: 0, source_type: "snapshot", destination_type: "volume", uuid: snapshotId }
  const other = await makeServer(host, {
    block_device_mapping_v2: [{ ...mapping, volume_size: 1, delete_on_termination: true }],
  })
  await removeServer(other)
  await removeServer(serverId)
  await isNow(id, { status: "available" })
  await removeVolume(id)
})

test("a server that is migrated takes its volumes along where both hosts reach them, and stays where they do not", async () => {
  const serverId = await makeServer("host2", blankRoot("nas"))
  const dataId = await makeVolume("nas")
  assert.equal((await attach(serverId, dataId)).status, 200)
  await isNow(dataId, { status: "in-use" })
  const { volumeAttachments } = await ok("GET", `/compute/v2.1/servers/${serverId}/os-volume_attachments`)
  const ids: string[] = volumeAttachments.map(({ volumeId }: Body) => volumeId)
  assert.equal(ids.length, 2)
  const places = async () => [...new Set(await Promise.all(ids.map(placeOf)))]
  const act = (action: Body) => call("POST", `/compute/v2.1/servers/${serverId}/action`, action)
  const move = async (host: string) => {
    assert.equal((await act({ migrate: { host } })).status, 202)
    await serverIs(serverId, "VERIFY_RESIZE")
  }
  await move("host3")
  assert.deepEqual(await places(), ["host3@nas"])
  assert.equal((await act({ confirmResize: null })).status, 204)
  await move("host2")
  assert.deepEqual(await places(), ["host2@nas"])
  // What it was given there and cannot be elsewhere keeps it there.
  let ownId = await makeVolume("own")
  while ((await placeOf(ownId)) !== "host2@own") ownId = await makeVolume("own")
  assert.equal((await attach(serverId, ownId)).status, 200)
  await isNow(ownId, { status: "in-use" })
  const refused = await act({ revertResize: null })
  assert.equal(refused.status, 400)
  assert.match(JSON.stringify(refused.body), /cannot go back to its host before: .*lies on another host/)
  await detach(serverId, ownId)
  await isNow(ownId, { status: "available" })
  assert.equal((await act({ revertResize: null })).status, 202)
  await serverIs(serverId, "ACTIVE")
  assert.deepEqual(await places(), ["host3@nas"])
  for (const id of ids) assert.equal((await seen(id)).status, "in-use")
  await removeServer(serverId)
  await removeVolume(dataId)

  const bound = await makeServer("host2", blankRoot("own"))
  await ok("POST", `/compute/v2.1/servers/${bound}/action`, { migrate: null })
  await eventually("the move to fail", async () => {
    const { migrations } = await ok("GET", `/compute/v2.1/os-migrations?instance_uuid=${bound}`)
    return migrations[0]?.status === "error"
  })
  assert.equal((await serverIs(bound, "ACTIVE"))["OS-EXT-SRV-ATTR:host"], "host2")
  await removeServer(bound)
})
