// Servers that go to another host while they run, with volumes in storage that both hosts reach. Real files and real
// agents, joined at the door; machines are simulated.
import assert from "node:assert/strict"
import { after, afterEach, before, test } from "node:test"
import { eventually } from "../src/platform/clock/clock.ts"
import { type Asked, HostsCloud } from "./hosts-cloud.ts"
import { type SharingHost, startSharingHost } from "./sharing-host.ts"

/** Both call the storage that they share by a name of their own. */
const backEndOf = (host: string) => (host === "host3" ? "vault" : "nas")

let at: HostsCloud
const hosts = {} as Record<"host2" | "host3", SharingHost>

before(async () => {
  at = await HostsCloud.start({
    ...{ "blockStorage.oversubscriptionRatio": 10, "blockStorage.quota.volumes": -1 },
    ...{ "engine.sagaRetryFirstMs": 5, "engine.sagaRetryMostMs": 10 },
  })
  for (const name of ["host2", "host3"] as const)
    hosts[name] = await startSharingHost(at, name, backEndOf(name))
  for (const name of ["nas", "own"]) await makeType(name, { volume_backend_name: name })
  await makeType("many", { volume_backend_name: "nas", multiattach: "<is> True" })
  const secret = await makeType("secret", { volume_backend_name: "nas" })
  await ok("POST", `/volume/v3/types/${secret}/encryption`, {
    encryption: { provider: "luks", control_location: "front-end", cipher: null, key_size: null },
  })
  await eventually("the back ends", async () => {
    const { pools } = await ok("GET", "/volume/v3/scheduler-stats/get_pools")
    return pools.filter(({ name }: Body) => /^host[23]@/.test(name)).length === 6
  })
})
after(async () => {
  for (const { agent } of Object.values(hosts)) await agent.stop({ guests: "leave", graceMs: 0 })
  await at?.[Symbol.asyncDispose]()
})

const made: string[] = []
afterEach(async () => {
  for (const { hypervisor } of Object.values(hosts)) hypervisor.setControl({ fail: null, copyMs: 0 })
  for (const id of made.splice(0)) await removeServer(id)
})

// biome-ignore lint/suspicious/noExplicitAny: tests look where they like and fail when it is not there
type Body = any

const call = (...request: Asked) => at.call(...request)
const ok = (...request: Asked) => at.ok(...request)

async function makeType(name: string, extra_specs: Body): Promise<string> {
  return (await ok("POST", "/volume/v3/types", { volume_type: { name, extra_specs } })).volume_type.id
}

const seen = async (id: string): Promise<Body> => (await ok("GET", `/volume/v3/volumes/${id}`)).volume
const placeOf = async (id: string): Promise<string> =>
  (await seen(id))["os-vol-host-attr:host"].replace(/#.*/, "")

async function volumeIs(id: string, status: string): Promise<Body> {
  return await eventually(`volume ${id} to be ${status}`, async () => {
    const volume = await seen(id)
    assert.notEqual(volume.status, "error")
    return volume.status === status && volume
  })
}

async function makeVolume(type: string): Promise<string> {
  const { volume } = await ok("POST", "/volume/v3/volumes", { volume: { size: 1, volume_type: type } })
  await volumeIs(volume.id, "available")
  return volume.id
}

/** Before a server has it: what runs is simulated, and copies nothing. */
async function makeSnapshot(volumeId: string): Promise<void> {
  const { snapshot } = await ok("POST", "/volume/v3/snapshots", { snapshot: { volume_id: volumeId } })
  await eventually(
    "the snapshot",
    async () => (await ok("GET", `/volume/v3/snapshots/${snapshot.id}`)).snapshot.status === "available",
  )
}

const isGone = (path: string) =>
  eventually(`${path} to be gone`, async () => (await call("GET", path)).status === 404)

async function removeVolume(id: string): Promise<void> {
  await volumeIs(id, "available")
  await ok("DELETE", `/volume/v3/volumes/${id}?cascade=true`)
  await isGone(`/volume/v3/volumes/${id}`)
}

async function removeServer(id: string): Promise<void> {
  await call("DELETE", `/compute/v2.1/servers/${id}`)
  await isGone(`/compute/v2.1/servers/${id}`)
}

async function serverIs(id: string, status: string): Promise<Body> {
  return await eventually(`server ${id} to be ${status}`, async () => {
    const { server } = await ok("GET", `/compute/v2.1/servers/${id}`)
    if (server.status === "ERROR" && status !== "ERROR") assert.fail(JSON.stringify(server.fault))
    return server.status === status && server["OS-EXT-STS:task_state"] === null && server
  })
}

interface Made {
  id: string
  /** That it boots from. */
  rootId: string
  dataIds: string[]
}

/** On host2, booting from a volume of this type, with more of these. */
async function makeServer(type: string, ...dataTypes: string[]): Promise<Made> {
  return await makeServerAs({}, type, ...dataTypes)
}

async function makeServerAs(attributes: Body, type: string, ...dataTypes: string[]): Promise<Made> {
  const root = { boot_index: 0, source_type: "blank", destination_type: "volume", volume_size: 1 }
  const { server } = await ok("POST", "/compute/v2.1/servers", {
    server: {
      ...{ name: "vm", flavorRef: "42", networks: "none", availability_zone: "nova:host2" },
      ...attributes,
      block_device_mapping_v2: [{ ...root, volume_type: type, delete_on_termination: true }],
    },
  })
  made.push(server.id)
  await serverIs(server.id, "ACTIVE")
  const [{ volumeId: rootId }] = await attachmentsOf(server.id)
  const dataIds: string[] = []
  for (const each of dataTypes) {
    let id = await makeVolume(each)
    while (each === "own" && (await placeOf(id)) !== "host2@own") id = await makeVolume(each)
    if (each === "nas") await makeSnapshot(id)
    await attach(server.id, id)
    dataIds.push(id)
  }
  return { id: server.id, rootId, dataIds }
}

const attachmentsOf = async (id: string): Promise<Body[]> =>
  (await ok("GET", `/compute/v2.1/servers/${id}/os-volume_attachments`)).volumeAttachments

async function attach(serverId: string, volumeId: string): Promise<void> {
  const path = `/compute/v2.1/servers/${serverId}/os-volume_attachments`
  await ok("POST", path, { volumeAttachment: { volumeId } })
  await eventually("it to be there", async () =>
    (await seen(volumeId)).attachments.some((each: Body) => each.server_id === serverId),
  )
}

async function detach(serverId: string, volumeId: string): Promise<void> {
  await ok("DELETE", `/compute/v2.1/servers/${serverId}/os-volume_attachments/${volumeId}`)
  await volumeIs(volumeId, "available")
}

const live = (id: string, more: Body = {}) =>
  call("POST", `/compute/v2.1/servers/${id}/action`, {
    "os-migrateLive": { host: null, block_migration: "auto", ...more },
  })
const hostOf = async (id: string): Promise<string> =>
  (await ok("GET", `/compute/v2.1/servers/${id}`)).server["OS-EXT-SRV-ATTR:host"]
const newestMigration = async (id: string): Promise<Body> =>
  (await ok("GET", `/compute/v2.1/os-migrations?instance_uuid=${id}`)).migrations[0]

/** To its end; says what became of it. */
async function went(id: string, status = "ACTIVE"): Promise<string> {
  const ended = ["completed", "error", "cancelled"]
  await eventually("the migration to end", async () => ended.includes((await newestMigration(id)).status))
  await serverIs(id, status)
  return (await newestMigration(id)).status
}

const onItsWay = (id: string) =>
  eventually("memory to be on the way", async () => {
    const { migrations } = await ok("GET", `/compute/v2.1/servers/${id}/migrations`)
    return migrations[0]?.memory_total_bytes > 0 && migrations[0].id
  })

/** It has come, however long it would have been on the way. */
const arrives = (id: string) => hosts.host2.hypervisor.hurryLive({ serverId: id, driver: "fake" })

async function powers(id: string): Promise<Record<string, string>> {
  const found = Object.entries(hosts).map(async ([host, { agent }]) => {
    const machines = await agent.role.agent.handle("vm.list", {})
    return [host, machines.find(({ serverId }) => serverId === id)?.state.power ?? "none"] as const
  })
  return Object.fromEntries(await Promise.all(found))
}

/** Whether the door gives the host the key of the volume. */
async function getsKey(host: "host2" | "host3", volumeId: string): Promise<boolean> {
  const client = at.clientOf(hosts[host].membership)
  return await client.volumeKey(volumeId).then(
    () => true,
    (error: unknown) => {
      assert.match(String((error as { code?: string }).code), /key_refused/)
      return false
    },
  )
}

async function areAt(host: string, volumeIds: readonly string[]): Promise<void> {
  for (const id of volumeIds) {
    const volume = await seen(id)
    assert.deepEqual([await placeOf(id), volume.status], [`${host}@${backEndOf(host)}`, "in-use"])
    assert.deepEqual(
      volume.attachments.map((each: Body) => each.host_name),
      [host],
    )
    const { attachments } = await ok("GET", `/volume/v3/attachments?volume_id=${id}`)
    assert.equal(attachments.length, 1)
    assert.equal(attachments[0].status, "attached")
  }
}

test("a server goes with its volumes and without a disk, and what is done to them afterwards is done there", async () => {
  const { id, rootId, dataIds } = await makeServer("nas", "nas", "secret")
  const all = [rootId, ...dataIds]
  const [dataId = "", secretId = ""] = dataIds
  const refused = await live(id, { block_migration: true })
  assert.equal(refused.status, 400)
  assert.match(refused.body.badRequest.message, /host2 is not on local storage: Block migration can not/)
  // Only there: host1 does not reach them.
  assert.equal((await live(id, { block_migration: false })).status, 202)
  assert.equal(await went(id), "completed")
  assert.equal(await hostOf(id), "host3")
  await eventually("one machine", async () => (await powers(id)).host2 === "none")
  assert.equal((await powers(id)).host3, "running")
  await areAt("host3", all)
  assert.deepEqual([await getsKey("host2", secretId), await getsKey("host3", secretId)], [false, true])
  await ok("POST", `/volume/v3/volumes/${dataId}/action`, { "os-extend": { new_size: 2 } })
  await eventually("it to grow", async () => {
    const { status, size } = await seen(dataId)
    return status === "in-use" && size === 2
  })
  // And back.
  assert.equal((await live(id, { host: "host2" })).status, 202)
  assert.equal(await went(id), "completed")
  await areAt("host2", all)
  for (const volumeId of dataIds) {
    await detach(id, volumeId)
    await removeVolume(volumeId)
  }
})

test("one that is paused stays so", async () => {
  const { id } = await makeServer("nas")
  await ok("POST", `/compute/v2.1/servers/${id}/action`, { pause: null })
  await serverIs(id, "PAUSED")
  assert.equal((await live(id)).status, 202)
  assert.equal(await went(id, "PAUSED"), "completed")
  await eventually("one machine", async () => (await powers(id)).host2 === "none")
  assert.equal((await powers(id)).host3, "paused")
  await ok("POST", `/compute/v2.1/servers/${id}/action`, { unpause: null })
  await serverIs(id, "ACTIVE")
})

test("one that boots from a volume and has something on its host goes by block migration", async () => {
  const { id, rootId } = await makeServerAs({ config_drive: true }, "nas")
  const refused = await live(id, { block_migration: false })
  assert.equal(refused.status, 400)
  assert.match(refused.body.badRequest.message, /requires either shared storage or boot-from-volume with no/)
  assert.equal((await live(id, { block_migration: true })).status, 202)
  assert.equal(await went(id), "completed")
  await areAt("host3", [rootId])
})

test("what lies on one host, or is shared with another server, keeps a server there, and it is said which", async () => {
  const { id, dataIds } = await makeServer("nas", "own")
  const [ownId = ""] = dataIds
  for (const host of [null, "host3"]) {
    const { status, body } = await live(id, { host })
    assert.equal(status, 400)
    assert.match(body.badRequest.message, new RegExp(`Volume ${ownId} keeps server ${id} on host2`))
  }
  await detach(id, ownId)
  await removeVolume(ownId)
  const { status, body } = await live(id, { host: "host1" })
  assert.equal(status, 400)
  assert.match(body.badRequest.message, /keeps server .* cannot be reached from host1/)
  const many = await makeVolume("many")
  const other = await makeServer("nas")
  for (const serverId of [id, other.id]) await attach(serverId, many)
  const shared = await live(id)
  assert.equal(shared.status, 400)
  assert.match(JSON.stringify(shared.body), new RegExp(`Volume ${many} .*others have it`))
  await ok("DELETE", `/compute/v2.1/servers/${other.id}/os-volume_attachments/${many}`)
  await eventually("one to have it", async () => (await seen(many)).attachments.length === 1)
  await volumeIs(many, "in-use")
  await detach(id, many)
  await removeVolume(many)
  assert.equal((await live(id)).status, 202)
  assert.equal(await went(id), "completed")
})

test("on the way nobody else gets a volume, and who aborts has all as it was", async () => {
  const { id, rootId, dataIds } = await makeServer("nas", "secret")
  const [secretId = ""] = dataIds
  const strange = await makeServer("secret")
  assert.equal(await getsKey("host3", secretId), false)
  hosts.host2.hypervisor.setControl({ copyMs: 600_000 })
  await live(id)
  const number = await onItsWay(id)
  assert.deepEqual([await getsKey("host2", secretId), await getsKey("host3", secretId)], [true, true])
  assert.equal(await getsKey("host3", strange.rootId), false, "of what does not come to it")
  for (const [path, body] of [
    ["/volume/v3/snapshots", { snapshot: { volume_id: rootId, force: true } }],
    [`/volume/v3/volumes/${secretId}/action`, { "os-extend": { new_size: 2 } }],
    [`/volume/v3/volumes/${secretId}/action`, { "os-retype": { new_type: "nas" } }],
    [`/volume/v3/volumes/${rootId}/action`, { "os-migrate_volume": { host: "host2@own" } }],
    [`/volume/v3/volumes/${rootId}/action`, { "os-reset_status": { status: "available" } }],
  ] as const) {
    const reply = await call("POST", path, body)
    assert.equal(reply.status, 400, path)
    if (!("os-retype" in body)) assert.match(JSON.stringify(reply.body), /on its way to .* with its server/)
  }
  await ok("DELETE", `/compute/v2.1/servers/${id}/migrations/${number}`)
  assert.equal(await went(id), "cancelled")
  assert.deepEqual(await powers(id), { host2: "running", host3: "none" })
  await areAt("host2", [rootId, secretId])
  assert.equal(await getsKey("host3", secretId), false)
  await detach(id, secretId)
  await removeVolume(secretId)
})

test("whatever fails, the server and its volumes are where they were, and go at the next try", async () => {
  const { id, rootId, dataIds } = await makeServer("nas", "nas")
  const all = [rootId, ...dataIds]
  const failing = (host: "host2" | "host3", operation: string) =>
    hosts[host].hypervisor.setControl({ fail: { operation, at: 1, times: 1_000 } })
  for (const [host, operation] of [
    ["host3", "receiveLive"],
    ["host2", "sendLive"],
    ["host2", "layoutOf"],
  ] as const) {
    failing(host, operation)
    assert.equal((await live(id)).status, 202)
    assert.equal(await went(id), "error", operation)
    hosts[host].hypervisor.setControl({ fail: null })
    assert.deepEqual(await powers(id), { host2: "running", host3: "none" })
    await areAt("host2", all)
  }
  // What nobody foresees: its host works for a snapshot when all is there.
  const isNow = async (status: string) => {
    const changed = at.cloud.database.db.updateTable("block_storage.snapshot").set({ status })
    await changed.where("volume_id", "=", dataIds[0] ?? "").execute()
  }
  hosts.host2.hypervisor.setControl({ copyMs: 600_000 })
  await live(id)
  await onItsWay(id)
  await isNow("deleting")
  await arrives(id)
  assert.equal(await went(id), "error")
  hosts.host2.hypervisor.setControl({ copyMs: 0 })
  await isNow("available")
  assert.deepEqual(await powers(id), { host2: "running", host3: "none" })
  await areAt("host2", all)
  await live(id)
  assert.equal(await went(id), "completed")
  await areAt("host3", all)
  await detach(id, dataIds[0] ?? "")
  await removeVolume(dataIds[0] ?? "")
})

test("one that does not go on where it has come has its volumes there, and starts with them", async () => {
  const { id, rootId, dataIds } = await makeServer("nas", "nas")
  hosts.host3.hypervisor.setControl({ fail: { operation: "setPower", at: 1, times: 1_000 } })
  await live(id)
  assert.equal(await went(id, "ERROR"), "error")
  hosts.host3.hypervisor.setControl({ fail: null })
  await areAt("host3", [rootId, ...dataIds])
  await ok("POST", `/compute/v2.1/servers/${id}/action`, { reboot: { type: "HARD" } })
  await serverIs(id, "ACTIVE")
  await detach(id, dataIds[0] ?? "")
  await removeVolume(dataIds[0] ?? "")
})

test("a delete on the way gives the volumes back, and takes along those that are to go with the server", async () => {
  const { id, rootId, dataIds } = await makeServer("nas", "nas")
  hosts.host2.hypervisor.setControl({ copyMs: 600_000 })
  await live(id)
  await onItsWay(id)
  await removeServer(id)
  assert.deepEqual(await powers(id), { host2: "none", host3: "none" })
  await isGone(`/volume/v3/volumes/${rootId}`)
  await removeVolume(dataIds[0] ?? "")
})

test("one whose state is reset on the way goes again as soon as its volumes are back", async () => {
  const { id, rootId } = await makeServer("nas")
  hosts.host2.hypervisor.setControl({ copyMs: 600_000 })
  await live(id)
  await onItsWay(id)
  await ok("POST", `/compute/v2.1/servers/${id}/action`, { "os-resetState": { state: "active" } })
  const refused = await live(id)
  assert.equal(refused.status, 400)
  assert.match(JSON.stringify(refused.body), new RegExp(`Volume ${rootId} .* is on its way`))
  hosts.host2.hypervisor.setControl({ copyMs: 0 })
  await arrives(id)
  await eventually("the first to be given up", async () => (await live(id)).status === 202)
  assert.equal(await went(id), "completed")
  await eventually("one machine", async () => (await powers(id)).host2 === "none")
  assert.equal((await powers(id)).host3, "running")
  await areAt("host3", [rootId])
  await ok("POST", `/volume/v3/volumes/${rootId}/action`, { "os-extend": { new_size: 2 } })
  await eventually("it to grow", async () => (await seen(rootId)).size === 2)
  await volumeIs(rootId, "in-use")
})
