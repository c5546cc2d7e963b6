// Volumes of one host that machines of another have by iSCSI: a real tgtd, real agents, joined at the door. Machines
// are simulated; QEMU's own program opens what their host was told.
import assert from "node:assert/strict"
import { type ChildProcess, spawn } from "node:child_process"
import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { after, before, test } from "node:test"
import type { VolumeConnection } from "../src/agent/protocol.ts"
import { iscsiArguments } from "../src/agent/testing/iscsi-guest.ts"
import { logInByIscsi } from "../src/agent/testing/iscsi-login.ts"
import { endConnections } from "../src/block-storage/connection/end.reconciler.ts"
import { openVolumeConnection } from "../src/block-storage/index.ts"
import type { MemberAgent } from "../src/launch/joined/member-agent.ts"
import { eventually } from "../src/platform/clock/clock.ts"
import { exec } from "../src/platform/exec/exec.ts"
import { silentLogger } from "../src/platform/log/log.ts"
import { Supervisor } from "../src/platform/supervise/supervisor.ts"
import { freePort } from "./free-port.ts"
import { type Asked, HostsCloud } from "./hosts-cloud.ts"
import { startIscsiHost } from "./iscsi-host.ts"

let at: HostsCloud
let supervisor: Supervisor
const agents: MemberAgent[] = []

before(async () => {
  at = await HostsCloud.start({ "blockStorage.quota.volumes": -1 })
  chmodSync(at.scratch, 0o711)
  supervisor = new Supervisor({ runDir: join(at.scratch, "run"), log: silentLogger })
  const portal = `127.0.0.1:${await freePort()}`
  // The first has volumes, the others reach them.
  for (const name of ["host2", "host3", "host4"])
    agents.push(await startIscsiHost(at, supervisor, await at.joinAs(name), name === "host2" ? portal : null))
  for (const backend of ["san", "own"]) {
    const spec = { name: backend, extra_specs: { volume_backend_name: backend } }
    await ok("POST", "/volume/v3/types", { volume_type: spec })
  }
  await eventually("the back ends", async () => (await pools()).length === 6)
})
after(async () => {
  for (const agent of agents) await agent.stop({ guests: "leave", graceMs: 0 })
  await supervisor?.stopAll()
  await at?.[Symbol.asyncDispose]()
})

// biome-ignore lint/suspicious/noExplicitAny: tests look where they like and fail when it is not there
type Body = any

const call = (...request: Asked) => at.call(...request)
const ok = (...request: Asked) => at.ok(...request)

async function pools(): Promise<Body[]> {
  const { pools: all } = await ok("GET", "/volume/v3/scheduler-stats/get_pools?detail=true")
  return all.filter(({ name }: Body) => /^host[234]@/.test(name))
}

const volumePath = (id: string, rest = "") => `/volume/v3/volumes/${id}${rest}`
const seen = async (id: string): Promise<Body> => (await ok("GET", volumePath(id))).volume
const placeOf = async (id: string) => (await seen(id))["os-vol-host-attr:host"].replace(/#.*/, "")

async function isNow(id: string, wanted: Record<string, unknown>): Promise<Body> {
  return await eventually(`volume ${id} to be ${JSON.stringify(wanted)}`, async () => {
    const volume = await seen(id)
    return Object.entries(wanted).every(([key, value]) => volume[key] === value) && volume
  })
}

async function makeVolume(more: Body = {}): Promise<string> {
  const { volume } = await ok("POST", "/volume/v3/volumes", {
    volume: { size: 1, volume_type: "san", ...more },
  })
  await isNow(volume.id, { status: "available" })
  return volume.id
}

async function removeVolume(id: string): Promise<void> {
  await ok("DELETE", volumePath(id, "?cascade=true"))
  await removedNow(id)
}

async function removedNow(id: string): Promise<void> {
  await eventually("the volume to be gone", async () => (await call("GET", volumePath(id))).status === 404)
}

async function makeServer(host: string, more: Body = {}): Promise<string> {
  const wish = { name: "vm", flavorRef: "42", networks: "none", availability_zone: `nova:${host}`, ...more }
  const { server } = await ok("POST", "/compute/v2.1/servers", { server: wish })
  await serverIs(server.id, "ACTIVE")
  return server.id
}

async function serverIs(id: string, status: string): Promise<Body> {
  return await eventually(`server ${id} to be ${status}`, async () => {
    const { server } = await ok("GET", `/compute/v2.1/servers/${id}`)
    if (server.status === "ERROR") assert.fail(JSON.stringify(server.fault))
    return server.status === status && server["OS-EXT-STS:task_state"] === null && server
  })
}

const rootOf = (type: string, more: Body = {}) => ({
  block_device_mapping_v2: [
    {
      ...{ boot_index: 0, source_type: "blank", destination_type: "volume", volume_size: 1 },
      ...{ volume_type: type, delete_on_termination: true, ...more },
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

async function attached(serverId: string, volumeId: string): Promise<void> {
  const reply = await attach(serverId, volumeId)
  assert.equal(reply.status, 200, JSON.stringify(reply.body))
  await isNow(volumeId, { status: "in-use" })
}

async function detached(serverId: string, volumeId: string): Promise<void> {
  await ok("DELETE", `/compute/v2.1/servers/${serverId}/os-volume_attachments/${volumeId}`)
  await isNow(volumeId, { status: "available" })
}

const toldFile = (host: string, volumeId: string) => join(at.scratch, host, "reached", volumeId)
const told = (host: string, volumeId: string): VolumeConnection =>
  JSON.parse(readFileSync(toldFile(host, volumeId), "utf8"))
const opening = (host: string, volumeId: string) =>
  iscsiArguments(told(host, volumeId), `${toldFile(host, volumeId)}.secret`)

async function io(host: string, volumeId: string, ...commands: string[]): Promise<string> {
  const asked = commands.flatMap((command) => ["-c", command])
  return (await exec("qemu-io", [...asked, ...opening(host, volumeId)])).stdout
}

/** What a guest does that has it open. */
async function whileOpen(host: string, volumeId: string, task: () => Promise<void>): Promise<void> {
  const guest: ChildProcess = spawn("qemu-io", opening(host, volumeId), {
    stdio: ["pipe", "pipe", "inherit"],
  })
  let said = ""
  guest.stdout?.on("data", (data) => {
    said += data
  })
  const ended = new Promise((resolve) => guest.once("close", resolve))
  try {
    guest.stdin?.write("write -P 3 0 64k\n")
    await eventually("the guest to write", () => /wrote 65536/.test(said))
    await task()
  } finally {
    guest.stdin?.end()
    await ended
  }
}

async function takeBack() {
  return await endConnections(at.cloud.cloud.platform, new AbortController().signal)
}

test("a server of another host has a volume, which stays where it is", async () => {
  const id = await makeVolume()
  assert.equal(await placeOf(id), "host2@san")
  const serverId = await makeServer("host3", rootOf("own"))
  await attached(serverId, id)
  assert.equal(await placeOf(id), "host2@san")
  await io("host3", id, "write -P 9 0 1M", "flush")
  const data = readFileSync(join(at.scratch, "host2/san", id, "volume.raw")).subarray(0, 1024 ** 2)
  assert.ok(data.every((byte) => byte === 9))
  await detached(serverId, id)
  assert.deepEqual(await takeBack(), { ended: 1, failed: 0 })
  await assert.rejects(io("host3", id, "read 0 512"), "it is the host's no more")
  assert.deepEqual(await takeBack(), { ended: 0, failed: 0 })
  // A server of its own host opens the file itself, and sees what the other one wrote.
  const own = await makeServer("host2", rootOf("own"))
  await attached(own, id)
  assert.equal(existsSync(toldFile("host2", id)), false)
  await detached(own, id)
  for (const server of [serverId, own]) await removeServer(server)
  await removeVolume(id)
})

test("a host gets only what a server there is to have", async () => {
  const { platform } = at.cloud.cloud
  const id = await makeVolume()
  const refused = { code: "block_storage.volume.connection_refused" }
  const ask = (host: string, volumeId = id) => openVolumeConnection(platform, { host, volumeId })
  for (const host of ["host2", "host3"]) await assert.rejects(ask(host), refused)
  for (const none of ["x", "../x", "8f5c1a52-9c57-4f0c-8b52-000000000000"])
    await assert.rejects(ask("host3", none), refused)
  const serverId = await makeServer("host3", rootOf("own"))
  await attached(serverId, id)
  await ask("host3")
  for (const host of ["host2", "host4"]) await assert.rejects(ask(host), refused)
  // Somebody's word that a machine of no server of ours has it is none.
  await removeServer(serverId)
  await isNow(id, { status: "available" })
  await assert.rejects(ask("host3"), refused)
  await removeVolume(id)
})

test("a server begins with a volume of another host, and takes it along when it moves", async () => {
  const serverId = await makeServer("host3", rootOf("san"))
  const { volumeAttachments } = await ok("GET", `/compute/v2.1/servers/${serverId}/os-volume_attachments`)
  const id = volumeAttachments[0].volumeId
  assert.equal(await placeOf(id), "host2@san")
  await io("host3", id, "write -P 5 0 64k", "flush")
  await ok("POST", `/compute/v2.1/servers/${serverId}/action`, { migrate: { host: "host4" } })
  await serverIs(serverId, "VERIFY_RESIZE")
  await ok("POST", `/compute/v2.1/servers/${serverId}/action`, { confirmResize: null })
  const { "OS-EXT-SRV-ATTR:host": host } = await serverIs(serverId, "ACTIVE")
  assert.equal(host, "host4")
  assert.match(await io("host4", id, "read -P 5 0 64k"), /read 65536/)
  await assert.rejects(io("host3", id, "read 0 512"), "it is the next host's")
  await removeServer(serverId)
  await eventually("its root to be gone", async () => (await call("GET", volumePath(id))).status === 404)
})

test("what a machine of another host has open is not copied, made larger or moved, and says why", async () => {
  const id = await makeVolume()
  const serverId = await makeServer("host3", rootOf("own"))
  await attached(serverId, id)
  const snapshot = { volume_id: id, force: true }
  await whileOpen("host3", id, async () => {
    const made = await ok("POST", "/volume/v3/snapshots", { snapshot })
    await eventually("the snapshot to fail", async () => {
      return (await ok("GET", `/volume/v3/snapshots/${made.snapshot.id}`)).snapshot.status === "error"
    })
    await ok("DELETE", `/volume/v3/snapshots/${made.snapshot.id}`)
    await ok("POST", volumePath(id, "/action"), { "os-extend": { new_size: 2 } })
    await isNow(id, { status: "error_extending" }).catch(
      async () => await isNow(id, { status: "in-use", size: 1 }),
    )
    const { messages } = await ok("GET", "/volume/v3/messages")
    assert.ok(messages.length > 0)
  })
  await ok("POST", volumePath(id, "/action"), { "os-reset_status": { status: "in-use" } })
  const moved = await call("POST", volumePath(id, "/action"), { "os-migrate_volume": { host: "host2@own" } })
  assert.equal(moved.status, 400, JSON.stringify(moved.body))
  assert.match(JSON.stringify(moved.body), /while a server on another host has it/)
  // When its server is off nobody writes to it.
  const made = await ok("POST", "/volume/v3/snapshots", { snapshot })
  await eventually("the snapshot", async () => {
    return (await ok("GET", `/volume/v3/snapshots/${made.snapshot.id}`)).snapshot.status === "available"
  })
  assert.match(await io("host3", id, "read -P 3 0 64k"), /read 65536/, "and the server's host has it still")
  await removeServer(serverId)
  await isNow(id, { status: "available" })
  await removeVolume(id)
})

test("a server with a volume over the network goes nowhere while it runs, or when a host is down, and says why", async () => {
  const volumeId = await makeVolume()
  const far = await makeServer("host3", rootOf("own"))
  const near = await makeServer("host2", rootOf("san"))
  await attached(far, volumeId)
  const act = (id: string, action: Body) => call("POST", `/compute/v2.1/servers/${id}/action`, action)
  const live = { "os-migrateLive": { host: null, block_migration: "auto" } }
  const forceDown = async (host: string, isDown: boolean) => {
    const { services } = await ok("GET", `/compute/v2.1/os-services?binary=nova-compute&host=${host}`)
    await ok("PUT", `/compute/v2.1/os-services/${services[0].id}`, { forced_down: isDown })
  }
  const cases = [
    [far, "host3", /lies on host2 and is reached over the network/],
    [near, "host2", /lies where no other host reaches it while host2 is down/],
  ] as const
  for (const [id, host, why] of cases) {
    const stays = await act(id, live)
    assert.equal(stays.status, 400)
    assert.match(
      JSON.stringify(stays.body),
      id === far ? /keeps server|reached over a network/ : /over a network/,
    )
    await forceDown(host, true)
    const { status, body } = await act(id, { evacuate: {} })
    await forceDown(host, false)
    assert.equal(status, 400)
    assert.match(JSON.stringify(body), why)
    const { server } = await ok("GET", `/compute/v2.1/servers/${id}`)
    assert.deepEqual([server.status, server["OS-EXT-SRV-ATTR:host"]], ["ACTIVE", host])
    const { migrations } = await ok("GET", `/compute/v2.1/os-migrations?instance_uuid=${id}`)
    assert.deepEqual(migrations, [])
  }
  await detached(far, volumeId)
  await removeServer(far)
  await removeServer(near)
  await removeVolume(volumeId)
})

test("of several that have a volume at once all are on one host", async () => {
  const many = { volume_backend_name: "san", multiattach: "<is> True" }
  await ok("POST", "/volume/v3/types", { volume_type: { name: "many", extra_specs: many } })
  const id = await makeVolume({ volume_type: "many" })
  const away = await makeServer("host3", rootOf("own"))
  await attached(away, id)
  for (const host of ["host2", "host4"]) {
    const other = await makeServer(host, rootOf("own"))
    const refused = await attach(other, id)
    assert.equal(refused.status, 400)
    assert.match(JSON.stringify(refused.body), /others have it/)
    await removeServer(other)
  }
  assert.deepEqual(await takeBack(), { ended: 0, failed: 0 })
  assert.match(await io("host3", id, "write -P 1 0 512"), /wrote 512/, "the first keeps it")
  await removeServer(away)
  await isNow(id, { status: "available" })
  await takeBack()
  await removeVolume(id)
})

test("hosts that have no volumes of the back end get none", async () => {
  const all = await pools()
  const room = (name: string) => all.find((pool) => pool.name.startsWith(name)).capabilities
  for (const host of ["host3", "host4"]) assert.equal(room(`${host}@san`).total_capacity_gb, 0)
  assert.equal(room("host2@san").storage_protocol, "iSCSI")
  const ids = await Promise.all([makeVolume(), makeVolume(), makeVolume()])
  for (const id of ids) assert.equal(await placeOf(id), "host2@san")
  await Promise.all(ids.map(removeVolume))
})

test("an initiator outside of the cloud has a volume that was reserved for it, and nobody else", async () => {
  const id = await makeVolume()
  const act = (name: string, body: Body = null) => call("POST", volumePath(id, "/action"), { [name]: body })
  const connector = { initiator: "iqn.2026-01.org.example:metal", host: "metal", ip: "192.0.2.7" }
  const initialize = (given: Body = connector) => act("os-initialize_connection", { connector: given })
  const early = await initialize()
  assert.equal(early.status, 400)
  assert.match(JSON.stringify(early.body), /must be reserved/)
  assert.equal((await act("os-reserve")).status, 202)
  for (const initiator of [undefined, 7, "metal", "iqn.x,y", "iqn.x\ny"])
    assert.equal((await initialize({ ...connector, initiator })).status, 400, String(initiator))
  const { status, body } = await initialize()
  assert.equal(status, 200, JSON.stringify(body))
  const { driver_volume_type: kind, data } = body.connection_info
  assert.deepEqual(
    [kind, data.volume_id, data.auth_method, data.access_mode, data.encrypted, data.target_lun],
    ["iscsi", id, "CHAP", "rw", false, 1],
  )
  const keyFile = join(at.scratch, "metal.key")
  writeFileSync(keyFile, Buffer.from(data.auth_password).toString("base64"))
  const how = {
    kind: "iscsi" as const,
    portal: data.target_portal,
    target: data.target_iqn,
    lun: data.target_lun,
  }
  const opened = iscsiArguments({ ...how, user: data.auth_username, initiator: connector.initiator }, keyFile)
  const write = () => exec("qemu-io", ["-c", "write -P 6 0 64k", "-c", "flush", ...opened])
  await write()
  assert.equal((await act("os-attach", { host_name: "metal", mountpoint: "/dev/sdb" })).status, 202)
  assert.deepEqual((await initialize()).body, body, "asked again it is the same")
  assert.deepEqual(await takeBack(), { ended: 0, failed: 0 })
  await write()
  assert.equal(
    (await act("os-terminate_connection", { connector: { initiator: "iqn.2026-01.org.example:x" } })).status,
    202,
  )
  await write()
  assert.equal((await act("os-begin_detaching")).status, 202)
  for (const _ of [1, 2]) assert.equal((await act("os-terminate_connection", { connector })).status, 202)
  await assert.rejects(write())
  assert.equal((await act("os-detach", {})).status, 202)
  await isNow(id, { status: "available" })

  // Whoever does not say that it is over has it no longer than it is his.
  await act("os-reserve")
  const next = (await initialize()).body.connection_info.data
  assert.notEqual(next.auth_password, data.auth_password)
  await act("os-unreserve")
  assert.deepEqual(await takeBack(), { ended: 1, failed: 0 })

  const serverId = await makeServer("host3", rootOf("own"))
  await attached(serverId, id)
  for (const name of ["os-initialize_connection", "os-terminate_connection"])
    assert.equal((await act(name, { connector })).status, 409, "a server's is the compute service's affair")
  await removeServer(serverId)
  await isNow(id, { status: "available" })
  await removeVolume(id)
})

test("who has given up a volume is cut off by the next one, and has no secret of his, whatever both call themselves", async () => {
  const id = await makeVolume()
  const act = (name: string, body: Body = null) => call("POST", volumePath(id, "/action"), { [name]: body })
  const connector = { initiator: "iqn.2026-01.org.example:metal", host: "metal" }
  const take = async (): Promise<VolumeConnection> => {
    assert.equal((await act("os-reserve")).status, 202)
    const { status, body } = await act("os-initialize_connection", { connector })
    assert.equal(status, 200, JSON.stringify(body))
    const {
      target_portal: portal,
      target_iqn: target,
      auth_username: user,
      ...more
    } = body.connection_info.data
    return {
      ...{ kind: "iscsi", portal, target, lun: more.target_lun, user },
      ...{ secret: more.auth_password, initiator: connector.initiator },
    }
  }
  const first = await take()
  const held = await logInByIscsi(first, "metal")
  let isCut = false
  held.once("close", () => {
    isCut = true
  })
  // Nobody has taken it back yet.
  await act("os-unreserve")
  const { transfer } = await ok("POST", "/volume/v3/volume-transfers", { transfer: { volume_id: id } })
  await ok("POST", `/volume/v3/volume-transfers/${transfer.id}/accept`, {
    accept: { auth_key: transfer.auth_key },
  })
  const second = await take()
  await eventually("the one before to be cut off", () => isCut)
  assert.notEqual(second.secret, first.secret)
  await assert.rejects(logInByIscsi(first, "metal"))
  ;(await logInByIscsi(second, "metal")).destroy()

  // One that is offered is nobody's, and one that is deleted does not wait for whoever had it.
  await act("os-unreserve")
  const offered = await ok("POST", "/volume/v3/volume-transfers", { transfer: { volume_id: id } })
  assert.deepEqual(await takeBack(), { ended: 1, failed: 0 })
  await ok("DELETE", `/volume/v3/volume-transfers/${offered.transfer.id}`)
  const third = await logInByIscsi(await take(), "metal")
  await act("os-unreserve")
  await ok("DELETE", volumePath(id))
  await takeBack()
  await removedNow(id)
  third.destroy()
})

test("an attachment with a connector says how the volume is reached, to whoever named it", async () => {
  const id = await makeVolume()
  const made = await ok("POST", "/volume/v3/attachments", { attachment: { volume_uuid: id } })
  const attachmentPath = `/volume/v3/attachments/${made.attachment.id}`
  const connector = { initiator: "iqn.2026-01.org.example:metal", host: "metal" }
  const { attachment } = await ok("PUT", attachmentPath, { attachment: { connector } })
  const info = attachment.connection_info
  assert.deepEqual(
    [info.driver_volume_type, info.volume_id, info.attachment_id, info.auth_method],
    ["iscsi", id, made.attachment.id, "CHAP"],
  )
  assert.match(info.auth_password, /^[0-9a-f]{48}$/)
  const later = (await ok("GET", attachmentPath)).attachment
  assert.deepEqual(later.connection_info, { driver_volume_type: "iscsi" })
  assert.equal((await call("POST", `${attachmentPath}/action`, { "os-complete": null })).status, 204)
  assert.deepEqual(await takeBack(), { ended: 0, failed: 0 })
  await ok("DELETE", attachmentPath)
  await isNow(id, { status: "available" })
  assert.deepEqual(await takeBack(), { ended: 1, failed: 0 })
  await removeVolume(id)
})

test("volumes of other back ends are given to no initiator", async () => {
  const id = await makeVolume({ volume_type: "own" })
  await ok("POST", volumePath(id, "/action"), { "os-reserve": null })
  const connector = { initiator: "iqn.2026-01.org.example:metal", host: "metal" }
  const refused = await call("POST", volumePath(id, "/action"), { "os-initialize_connection": { connector } })
  assert.equal(refused.status, 400)
  assert.match(JSON.stringify(refused.body), /gives none to machines outside/)
  assert.equal(
    (await call("POST", volumePath(id, "/action"), { "os-terminate_connection": { connector: null } }))
      .status,
    202,
  )
  await ok("POST", volumePath(id, "/action"), { "os-unreserve": null })
  await removeVolume(id)
})

test("while the volume's host is away no server gets it, and a server that is deleted frees it", async () => {
  const id = await makeVolume()
  const [first, second] = [await makeServer("host3", rootOf("own")), await makeServer("host4", rootOf("own"))]
  await attached(first, id)
  const { db } = at.cloud.database
  const reported = (seen: Date) =>
    db.updateTable("block_storage.pool").set({ reported_at: seen }).where("host", "=", "host2").execute()
  await removeServer(first)
  await isNow(id, { status: "available" })
  await agents[0]?.stop({ guests: "leave", graceMs: 0 })
  agents.shift()
  await reported(new Date(0))
  const refused = await attach(second, id)
  assert.equal(refused.status, 400)
  assert.match(JSON.stringify(refused.body), /does not answer/)
  await removeServer(second)
})
