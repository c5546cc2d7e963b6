// Servers of a host that is down go on elsewhere, over HTTP; and the host that comes back has none of them any more.
import assert from "node:assert/strict"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, afterEach, before, beforeEach, test } from "node:test"
import { sql } from "kysely"
import { FileVolumeDriver } from "../src/agent/volumes/file-driver.ts"
import { startRightsOf } from "../src/compute/host/start-rights.ts"
import { noteHostLost, setHostDisabled } from "../src/compute/index.ts"
import { readAdminPassword } from "../src/compute/server/admin-password.ts"
import { evacuateServerSaga } from "../src/compute/server/evacuate.saga.ts"
import { evacuateServer } from "../src/compute/server/evacuate.ts"
import { selectServer } from "../src/compute/server/store.ts"
import { answerMove } from "../src/launch/move-answer.ts"
import { evacuateHost, type MoveEvent, type MoveParts } from "../src/launch/move-loop.ts"
import { eventually, systemClock } from "../src/platform/clock/clock.ts"
import type { Platform } from "../src/platform/context/context.ts"
import { transact } from "../src/platform/db/database.ts"
import { newUuid } from "../src/platform/ids/ids.ts"
import { FarHost } from "./far-host.ts"
import { callerOf, capturing } from "./saga-case.ts"
import { type ServerCloud, startServerCloud } from "./server-cloud.ts"
import { SharedFiles } from "./shared-files.ts"

let c: ServerCloud
let platform: Platform
const scratch = mkdtempSync(join(tmpdir(), "kumoi-evacuate-"))
/** The one that is lost, and two others. */
let lost: FarHost
let near: FarHost
let spare: FarHost

before(async () => {
  c = await startServerCloud({
    capacity: { vcpus: 64, ramMib: 16_384, diskGib: 1_000 },
    overrides: {
      "engine.sagaRetryFirstMs": 5,
      "engine.sagaRetryMostMs": 10,
      "blockStorage.quota.volumes": -1,
    },
  })
  platform = c.cloud.cloud.platform
  // No server comes to the cloud's own host.
  await setHostDisabled(platform, "host1", "for others")
  lost = await start("lost")
  near = await start("near")
  spare = await start("spare")
  for (const backend of ["nas", "own"]) {
    const spec = { name: backend, extra_specs: { volume_backend_name: backend } }
    await ok("POST", "/volume/v3/types", { volume_type: spec })
  }
})
after(async () => {
  for (const host of [lost, near, spare]) await host?.[Symbol.asyncDispose]()
  await c?.[Symbol.asyncDispose]()
  rmSync(scratch, { recursive: true })
})
beforeEach(async () => {
  for (const host of [lost, near, spare]) {
    await host.restore()
    await isUp(host.name)
  }
})
afterEach(async () => {
  await setHostDisabled(platform, spare.name, null)
  for (const host of [near, spare]) host.hypervisor.setControl({ fail: null, delayMs: 0 })
  const { servers } = await ok("GET", "/compute/v2.1/servers?all_tenants=1")
  for (const { id } of servers) {
    await ok("DELETE", `/compute/v2.1/servers/${id}`)
    await isGone(id)
  }
})

async function start(name: string): Promise<FarHost> {
  const volumes = [
    new SharedFiles(join(scratch, "nas"), { name: "nas", host: name, share: "nfs:one", roomGib: 100 }),
    new FileVolumeDriver(join(scratch, name), { name: "own" }),
  ]
  return await FarHost.start(platform, { name, volumes })
}

// biome-ignore lint/suspicious/noExplicitAny: tests look where they like and fail when it is not there
type Body = any

async function ok(method: string, path: string, body?: Body): Promise<Body> {
  const version = path.startsWith("/volume") ? "volume 3.70" : "compute 2.96"
  const reply = await c.cloud.request(method, path, {
    ...{ token: c.admin, headers: { "openstack-api-version": version } },
    ...(body === undefined ? {} : { body }),
  })
  assert.ok(reply.status < 300, `${method} ${path}: ${reply.status} ${JSON.stringify(reply.body)}`)
  return reply.body
}

const asAdmin = (version = "2.94") => ({ token: c.admin, version })

async function serverOn(host: string, more: object = {}): Promise<string> {
  const where = { availability_zone: `nova:${host}`, networks: "auto" }
  const server = { name: "vm", imageRef: c.imageId, flavorRef: c.flavorId, ...where, ...more }
  const made = await ok("POST", "/compute/v2.1/servers", { server })
  await c.reaches(made.server.id, "ACTIVE")
  return made.server.id
}

const evacuate = (id: string, asked: object = {}, version?: string) =>
  c.act(id, { evacuate: asked }, asAdmin(version))
const show = (id: string) => c.show(id, asAdmin())
const act = (id: string, action: object) => c.act(id, action, asAdmin())
const isGone = (id: string) =>
  eventually(`${id} to be gone`, async () => {
    return (await c.call("GET", `/servers/${id}`, undefined, asAdmin())).status === 404
  })
const hostOf = async (id: string): Promise<string> => (await show(id))["OS-EXT-SRV-ATTR:host"]
const newestMigration = async (id: string) =>
  (await c.call("GET", `/os-migrations?instance_uuid=${id}`, undefined, asAdmin())).body.migrations[0]
const migrationIs = (id: string, status: string) =>
  eventually(`its migration to be ${status}`, async () => (await newestMigration(id))?.status === status)

/** With a report of the host that is back: the next one would come in some seconds. */
async function isLeft(id: string): Promise<void> {
  await eventually(`nothing of ${id} to be left`, async () => {
    lost.agent.sayAlive()
    return (await newestMigration(id))?.status === "completed"
  })
}

async function stateOf(host: string): Promise<string> {
  const path = `/os-services?binary=nova-compute&host=${host}`
  const { body } = await c.call("GET", path, undefined, asAdmin())
  return body.services[0]?.state
}

const isUp = (host: string) => eventually(`${host} to be up`, async () => (await stateOf(host)) === "up")

/** What it had said before may come after that it was lost. */
const isDown = (host: string) =>
  eventually(`${host} to be down`, async () => {
    await noteHostLost(platform, host)
    return (await stateOf(host)) === "down"
  })

async function portHosts(id: string): Promise<string[]> {
  const { rows } = await sql<{ host: string }>`
    select host_id as host from network.port where device_id = ${id}`.execute(platform.db)
  return rows.map(({ host }) => host)
}

/** Memory that is held for the server and its moves, by host. */
async function roomOf(id: string): Promise<Record<string, number>> {
  const { rows } = await sql<{ host: string; used: number }>`
    select h.name as host, sum(a.used)::int as used from placement.allocation a
      join compute.host h on h.id = a.provider_id
    where a.resource_class = 'MEMORY_MB' and overlay(a.consumer_id::text placing '0' from 15 for 1)
      = overlay(${id} placing '0' from 15 for 1)
    group by h.name`.execute(platform.db)
  return Object.fromEntries(rows.map(({ host, used }) => [host, used]))
}

test("a server of a host that has died goes on elsewhere; when the host is back it does not start, and is gone", async () => {
  const [id, stays] = [await serverOn(lost.name), await serverOn(lost.name)]
  const { addresses } = await show(id)
  await lost.losePower()
  await isDown(lost.name)
  const reply = await evacuate(id, { host: near.name })
  assert.deepEqual([reply.status, reply.body], [200, ""])
  assert.equal((await show(id)).status, "REBUILD")
  await c.reaches(id, "ACTIVE")
  assert.equal(await hostOf(id), near.name)
  assert.deepEqual(await near.powers([id]), ["running"])
  assert.deepEqual((await show(id)).addresses, addresses)
  assert.deepEqual(await portHosts(id), [near.name])
  assert.deepEqual(await roomOf(id), { [near.name]: 128 })
  const migration = await newestMigration(id)
  assert.deepEqual(
    [migration.status, migration.migration_type, migration.source_compute, migration.dest_compute],
    ["done", "evacuation", lost.name, near.name],
  )
  const { body } = await c.call("GET", `/servers/${id}/os-instance-actions`, undefined, asAdmin())
  assert.equal(body.instanceActions[0].action, "evacuate")
  const detail = `/servers/${id}/os-instance-actions/${body.instanceActions[0].request_id}`
  const { events } = (await c.call("GET", detail, undefined, asAdmin())).body.instanceAction
  assert.deepEqual(
    events.map(({ event, result }: Body) => [event, result]),
    [["compute_rebuild_instance", "Success"]],
  )
  const sent = await sql<{ type: string }>`select type from engine.outbox_event
    where resource_id = ${id} or payload->>'instance_id' = ${id}`.execute(platform.db)
  const types = new Set(sent.rows.map(({ type }) => type))
  for (const event of ["evacuate", "rebuild.start", "rebuild.end"])
    assert.ok(types.has(`compute.instance.${event}`), [...types].join(" "))

  await lost.boot()
  await isLeft(id)
  assert.deepEqual(await lost.powers([id]), ["none"])
  await eventually(
    "the one that stayed to run again",
    async () => (await lost.powers([stays]))[0] === "running",
  )
  await c.reaches(stays, "ACTIVE")
  await c.reaches(id, "ACTIVE")
  assert.deepEqual(await near.powers([id]), ["running"])
})

test("a host that was cut off ends the guests that go on elsewhere, however many, and no other", async () => {
  const ids = await Promise.all(Array.from({ length: 3 }, () => serverOn(lost.name)))
  const stays = await serverOn(lost.name)
  await lost.cut()
  await isDown(lost.name)
  for (const id of ids) assert.equal((await evacuate(id)).status, 200)
  for (const id of ids) await c.reaches(id, "ACTIVE")
  assert.deepEqual(await lost.powers(ids), ["running", "running", "running"], "nobody could tell it")
  await lost.mend()
  await eventually("its guests to be gone", async () => {
    return (await lost.powers(ids)).every((power) => power === "none")
  })
  assert.deepEqual(await lost.powers([stays]), ["running"])
  for (const id of ids) await isLeft(id)
  // What an earlier worker still says to it is refused.
  const fence = { generation: (await selectServer(platform.db, ids[0] ?? ""))?.generation ?? 0, fence: 9 }
  const late = lost.agent.handle("vm.stop", { serverId: ids[0] ?? "", graceMs: 0, fence })
  await assert.rejects(late)
})

test("a host that is forced down is as one that is down; if it answers, its guest ends before the other starts", async () => {
  const id = await serverOn(lost.name)
  assert.equal((await evacuate(id)).status, 400)
  const service = (await ok("GET", `/compute/v2.1/os-services?host=${lost.name}`)).services[0].id
  const force = (isForced: boolean) =>
    ok("PUT", `/compute/v2.1/os-services/${service}`, { forced_down: isForced })
  await force(true)
  try {
    assert.equal((await evacuate(id)).status, 200)
    await c.reaches(id, "ACTIVE")
    assert.deepEqual([(await hostOf(id)) === lost.name, await lost.powers([id])], [false, ["shutdown"]])
    // Started again, it is told to start nothing as long as an operator says that it is down.
    await lost.killAgent()
    await lost.boot()
  } finally {
    await force(false)
  }
  lost.agent.sayAlive()
  await isLeft(id)
  assert.deepEqual(await lost.powers([id]), ["none"])
})

test("below 2.95 what was off stays off; from there on each is off; passwords are told as long as Nova told them", async () => {
  const [off, runs, broken, old] = [
    await serverOn(lost.name),
    await serverOn(lost.name),
    await serverOn(lost.name),
    await serverOn(lost.name),
  ]
  await act(off, { "os-stop": null })
  await c.reaches(off, "SHUTOFF")
  await act(broken, { "os-resetState": { state: "error" } })
  await lost.losePower()
  await isDown(lost.name)
  await evacuate(off)
  await c.reaches(off, "SHUTOFF")
  await evacuate(runs, { adminPass: "secret" }, "2.95")
  await c.reaches(runs, "SHUTOFF")
  assert.equal(await readAdminPassword(platform, runs), "secret")
  assert.equal((await evacuate(broken, { force: true, host: spare.name }, "2.29")).status, 200)
  await c.reaches(broken, "ACTIVE")
  assert.equal(await hostOf(broken), spare.name)
  const shared = await evacuate(old, { onSharedStorage: "True" }, "2.13")
  assert.equal(shared.status, 400)
  assert.match(shared.body.badRequest.message, /Invalid state of instance files on shared storage/)
  const told = await evacuate(old, { onSharedStorage: false }, "2.13")
  assert.equal(told.status, 200)
  assert.match(told.body.adminPass, /^\w{12}$/)
  await c.reaches(old, "ACTIVE")
  assert.equal(await readAdminPassword(platform, old), told.body.adminPass)
  await lost.boot()
  for (const id of [off, runs, broken, old]) await isLeft(id)
})

test("in other states it is refused, and where the scheduler lets it go nowhere it is in error where it was", async () => {
  const [paused, id] = [await serverOn(lost.name), await serverOn(lost.name)]
  await act(paused, { pause: null })
  await c.reaches(paused, "PAUSED")
  await lost.losePower()
  await isDown(lost.name)
  const refused = await evacuate(paused)
  assert.equal(refused.status, 409)
  assert.match(
    refused.body.conflictingRequest.message,
    /Cannot 'evacuate' instance .* while it is in vm_state paused/,
  )
  await setHostDisabled(platform, spare.name, "closed")
  assert.equal((await evacuate(id, { host: spare.name })).status, 200)
  await c.reaches(id, "ERROR")
  const failed = await newestMigration(id)
  assert.deepEqual([failed.status, await hostOf(id)], ["error", lost.name])
  assert.match((await show(id)).fault.message, /No valid host was found/)
  assert.deepEqual(await roomOf(id), { [lost.name]: 128 })
  assert.equal((await evacuate(id)).status, 200)
  await c.reaches(id, "ACTIVE")
  assert.equal(await hostOf(id), near.name)
  await lost.boot()
  await isLeft(id)
})

test("what fails on the new host leaves nothing there; the server is where it was, and may be evacuated again", async () => {
  const id = await serverOn(lost.name)
  await lost.losePower()
  await isDown(lost.name)
  near.hypervisor.setControl({ fail: { operation: "ensure", at: 1, times: 1_000 } })
  await evacuate(id, { host: near.name })
  await c.reaches(id, "ERROR")
  near.hypervisor.setControl({ fail: null })
  assert.deepEqual(
    [await hostOf(id), (await newestMigration(id)).status, await near.powers([id]), await portHosts(id)],
    [lost.name, "failed", ["none"], [lost.name]],
  )
  assert.deepEqual(await roomOf(id), { [lost.name]: 128 })
  await evacuate(id, { host: near.name })
  await c.reaches(id, "ACTIVE")
  assert.deepEqual(await near.powers([id]), ["running"])
  await lost.boot()
  await isLeft(id)
  assert.deepEqual(await lost.powers([id]), ["none"])
})

test("when the new host dies with it the server stays there, and is evacuated from there", async () => {
  const id = await serverOn(lost.name)
  await lost.losePower()
  await isDown(lost.name)
  near.hypervisor.setControl({ delayMs: 5_000 })
  await evacuate(id, { host: near.name })
  await eventually("it to be the new host's", async () => (await hostOf(id)) === near.name)
  await near.cut()
  await isDown(near.name)
  await c.reaches(id, "ERROR")
  assert.deepEqual([await hostOf(id), (await newestMigration(id)).status], [near.name, "failed"])
  assert.deepEqual(await roomOf(id), { [near.name]: 128 })
  assert.equal((await evacuate(id)).status, 200)
  await c.reaches(id, "ACTIVE")
  assert.equal(await hostOf(id), spare.name)
  near.hypervisor.setControl({ delayMs: 0 })
  await near.mend()
  await lost.boot()
  await isLeft(id)
  await eventually("nothing to be left", async () => {
    const found = [...(await lost.powers([id])), ...(await near.powers([id]))]
    return found.every((power) => power === "none")
  })
  assert.deepEqual(await spare.powers([id]), ["running"])
})

test("a host that is back before anything has changed keeps its server as it is", async () => {
  const id = await serverOn(lost.name)
  await lost.cut()
  await isDown(lost.name)
  const { ctx, started } = capturing(platform, await callerOf(c))
  await evacuateServer(ctx, { serverId: id, host: null })
  await lost.mend()
  await isUp(lost.name)
  await transact(platform.db, (tx) =>
    platform.sagas.start(tx, evacuateServerSaga, started[0], { requestId: "req-x", resourceId: id }),
  )
  await migrationIs(id, "error")
  const { status, fault } = await c.reaches(id, "ACTIVE")
  assert.equal(status, "ACTIVE", JSON.stringify(fault))
  assert.deepEqual([await hostOf(id), await lost.powers([id])], [lost.name, ["running"]])
})

test("a host that boots while its server is on its way is told later, and then what became of it", async () => {
  const id = await serverOn(lost.name)
  await lost.losePower()
  await isDown(lost.name)
  near.hypervisor.setControl({ delayMs: 1_000 })
  await evacuate(id, { host: near.name })
  await eventually("it to be the new host's", async () => (await hostOf(id)) === near.name)
  await lost.boot()
  await c.reaches(id, "ACTIVE")
  near.hypervisor.setControl({ delayMs: 0 })
  assert.deepEqual(await near.powers([id]), ["running"])
  await isLeft(id)
  assert.deepEqual(await lost.powers([id]), ["none"])
})

test("what a host may start the rows of this moment say, and to ask is a sign of life", async () => {
  const [own, other, unknown] = [await serverOn(lost.name), await serverOn(near.name), newUuid()]
  await act(other, { shelve: null })
  await c.reaches(other, "SHELVED_OFFLOADED")
  const serverIds = [own, other, unknown]
  const ask = (epochId: string | null) => startRightsOf(platform, lost.name, { serverIds, epochId })
  for (const epochId of [null, platform.epoch.id])
    assert.deepEqual(await ask(epochId), { start: [own], leave: [other, unknown] })
  // After a backup was restored.
  assert.deepEqual(await ask("before"), { start: [own, unknown], leave: [other] })
  await lost.cut()
  await isDown(lost.name)
  assert.deepEqual((await ask(null)).start, [own])
  const { status, body } = await evacuate(own)
  assert.deepEqual([status, body.badRequest.message], [400, "Compute service of lost is still in use."])
  await sql`update compute.host set is_forced_down = true where name = ${lost.name}`.execute(platform.db)
  const asForced = await ask(null)
  await sql`update compute.host set is_forced_down = false where name = ${lost.name}`.execute(platform.db)
  assert.deepEqual(asForced, { start: [], leave: [other, unknown] })
})

test("a delete on the way leaves nothing on either host", async () => {
  const id = await serverOn(lost.name)
  await lost.losePower()
  await isDown(lost.name)
  near.hypervisor.setControl({ delayMs: 500 })
  await evacuate(id, { host: near.name })
  await eventually("it to be the new host's", async () => (await hostOf(id)) === near.name)
  await ok("DELETE", `/compute/v2.1/servers/${id}`)
  await isGone(id)
  near.hypervisor.setControl({ delayMs: 0 })
  await eventually("nothing on the new host", async () => (await near.powers([id]))[0] === "none")
  assert.equal((await newestMigration(id)).status, "error")
  await lost.boot()
  await eventually("nothing on the old one", async () => {
    lost.agent.sayAlive()
    await ok("GET", `/compute/v2.1/os-services`)
    return (await lost.powers([id]))[0] !== "running"
  })
})

const volumeOf = async (id: string): Promise<Body> => (await ok("GET", `/volume/v3/volumes/${id}`)).volume
const volumeHost = async (id: string) => (await volumeOf(id))["os-vol-host-attr:host"].replace(/@.*/, "")

async function volumeIn(serverId: string, type: string): Promise<string> {
  const { volume } = await ok("POST", "/volume/v3/volumes", { volume: { size: 1, volume_type: type } })
  const is = (status: string) =>
    eventually(`the volume to be ${status}`, async () => (await volumeOf(volume.id)).status === status)
  await is("available")
  const path = `/compute/v2.1/servers/${serverId}/os-volume_attachments`
  await ok("POST", path, { volumeAttachment: { volumeId: volume.id } })
  await is("in-use")
  return volume.id
}

async function disksOn(host: FarHost, serverId: string): Promise<string[]> {
  const { here } = await host.agent.handle("host.unknown", { serverIds: [serverId] })
  return here.flatMap(({ spec }) => spec?.disks.map(({ name }) => name) ?? [])
}

test("a volume that the new host reaches comes along; one that fails there is the old host's again", async () => {
  const id = await serverOn(lost.name)
  const volumeId = await volumeIn(id, "nas")
  assert.equal(await volumeHost(volumeId), lost.name)
  const generation = async () =>
    (
      await sql<{ generation: number }>`select generation from block_storage.volume
        where id = ${volumeId}`.execute(platform.db)
    ).rows[0]?.generation ?? 0
  const before = await generation()
  await lost.losePower()
  await isDown(lost.name)
  near.hypervisor.setControl({ fail: { operation: "ensure", at: 1, times: 1_000 } })
  await evacuate(id, { host: near.name })
  await c.reaches(id, "ERROR")
  near.hypervisor.setControl({ fail: null })
  assert.deepEqual([await hostOf(id), await volumeHost(volumeId)], [lost.name, lost.name])
  await evacuate(id, { host: near.name })
  await c.reaches(id, "ACTIVE")
  assert.deepEqual([await volumeHost(volumeId), (await volumeOf(volumeId)).status], [near.name, "in-use"])
  assert.deepEqual(await disksOn(near, id), ["root", volumeId])
  assert.ok((await generation()) > before)
  await lost.boot()
  await isLeft(id)
  assert.deepEqual(await disksOn(lost, id), [])
  assert.equal((await volumeOf(volumeId)).status, "in-use")
})

test("a volume that lies on the host that is down keeps its server there, with the reason", async () => {
  const mapping = { source_type: "blank", destination_type: "volume", volume_size: 1, volume_type: "own" }
  const id = await serverOn(lost.name, {
    block_device_mapping_v2: [
      { boot_index: 0, uuid: c.imageId, source_type: "image", destination_type: "local" },
      { ...mapping, delete_on_termination: true },
    ],
  })
  await lost.losePower()
  await isDown(lost.name)
  const { status, body } = await evacuate(id)
  assert.equal(status, 400)
  assert.match(
    body.badRequest.message,
    /A volume of server .* lies where no other host reaches it while lost is down/,
  )
  assert.equal((await show(id)).status, "ACTIVE")
  assert.equal(await newestMigration(id), undefined)
  await lost.boot()
  await eventually("it to run again", async () => (await lost.powers([id]))[0] === "running")
  await c.reaches(id, "ACTIVE")
})

async function evacuateAll({ atOnce = 2 } = {}) {
  const events: MoveEvent[] = []
  const parts: MoveParts = {
    // What the cloud answers is what comes of JSON.
    ask: async (action, question) =>
      JSON.parse(JSON.stringify(await answerMove(platform, { action, ...question }))),
    tell: (event) => events.push(event),
    pause: () => systemClock.sleep(20),
    nowMs: () => systemClock.monotonicMs(),
  }
  const isEmpty = await evacuateHost(parts, { host: lost.name, atOnce })
  const toldOf = (id: string) =>
    events.flatMap((each) => (each.event === "sum" || each.id !== id ? [] : [each.event]))
  const why = (id: string) =>
    JSON.stringify(events.findLast((each) => each.event !== "sum" && each.id === id))
  return { isEmpty, toldOf, why, sum: events.find(({ event }) => event === "sum") }
}

test("kumoi host evacuate: all servers of a host that is down, each told; not of one that is up", async () => {
  const names = ["runs", "off", "broken", "paused"]
  const [runs = "", off = "", broken = "", paused = ""] = await Promise.all(
    names.map((name) => serverOn(lost.name, { name })),
  )
  await assert.rejects(evacuateAll(), { code: "cli.move.host_answers" })
  const nowhere = answerMove(platform, { action: "lost", host: "nowhere" })
  await assert.rejects(nowhere, { kind: "not_found" })
  await act(off, { "os-stop": null })
  await c.reaches(off, "SHUTOFF")
  await act(broken, { "os-resetState": { state: "error" } })
  await act(paused, { pause: null })
  await c.reaches(paused, "PAUSED")
  await act(runs, { lock: null })
  await lost.losePower()
  await isDown(lost.name)
  const drained = await answerMove(platform, { action: "find", server: runs, mayStop: false })
  assert.match(JSON.stringify(drained), /host evacuate/)
  for (const host of [near, spare]) await setHostDisabled(platform, host.name, "full")
  const first = await evacuateAll()
  assert.equal(first.isEmpty, false)
  assert.match(first.why(runs), /No valid host was found/)
  for (const host of [near, spare]) await setHostDisabled(platform, host.name, null)
  // Whoever is on the way already is followed.
  near.hypervisor.setControl({ delayMs: 300 })
  await answerMove(platform, { action: "begin", server: off, way: "anew", host: near.name })
  const second = await evacuateAll()
  near.hypervisor.setControl({ delayMs: 0 })
  assert.equal(second.isEmpty, false)
  for (const id of [runs, broken]) assert.deepEqual(second.toldOf(id), ["begins", "moved"])
  assert.deepEqual(second.toldOf(paused), ["left"])
  assert.match(second.why(paused), /it is paused; only what is active, off or in error/)
  assert.partialDeepStrictEqual(second.sum, { live: 0, cold: 0, left: 1 })
  // That nobody found a place for it at first was an error, and started nothing that was off.
  for (const id of [runs, off, broken]) {
    await c.reaches(id, id === off ? "SHUTOFF" : "ACTIVE")
    assert.notEqual(await hostOf(id), lost.name)
  }
  const third = await evacuateAll()
  assert.deepEqual([third.toldOf(paused), third.isEmpty], [["left"], false])
  await ok("DELETE", `/compute/v2.1/servers/${paused}`)
  await isGone(paused)
  assert.equal((await evacuateAll()).isEmpty, true)
  await lost.boot()
  for (const id of [runs, off, broken]) await isLeft(id)
})
