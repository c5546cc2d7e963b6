// Servers of a host that is down go on elsewhere, over HTTP; and the host that comes back has none of them any more.
import assert from "node:assert/strict"
import { after, afterEach, before, beforeEach, test } from "node:test"
import { sql } from "kysely"
import { startRightsOf } from "../src/compute/host/start-rights.ts"
import { setHostDisabled } from "../src/compute/index.ts"
import { readAdminPassword } from "../src/compute/server/admin-password.ts"
import { evacuateServerSaga } from "../src/compute/server/evacuate.saga.ts"
import { evacuateServer } from "../src/compute/server/evacuate.ts"
import { selectServer } from "../src/compute/server/store.ts"
import { eventually } from "../src/platform/clock/clock.ts"
import { transact } from "../src/platform/db/database.ts"
import { newUuid } from "../src/platform/ids/ids.ts"
import { type Body, EvacuateCloud } from "./evacuate-cloud.ts"
import { callerOf, capturing } from "./saga-case.ts"

let e: EvacuateCloud
before(async () => {
  e = await EvacuateCloud.start()
})
after(() => e?.[Symbol.asyncDispose]())
beforeEach(() => e.restore())
afterEach(() => e.empty())

async function portHosts(id: string): Promise<string[]> {
  const { rows } = await sql<{ host: string }>`
    select host_id as host from network.port where device_id = ${id}`.execute(e.platform.db)
  return rows.map(({ host }) => host)
}

test("a server of a host that has died goes on elsewhere; when the host is back it does not start, and is gone", async () => {
  const [id, stays] = [await e.serverOn(e.lost), await e.serverOn(e.lost)]
  const { addresses } = await e.show(id)
  await e.lost.losePower()
  await e.isDown(e.lost)
  const reply = await e.evacuate(id, { host: e.near.name })
  assert.deepEqual([reply.status, reply.body], [200, ""])
  assert.equal((await e.show(id)).status, "REBUILD")
  await e.c.reaches(id, "ACTIVE")
  assert.equal(await e.hostOf(id), e.near.name)
  assert.deepEqual(await e.near.powers([id]), ["running"])
  assert.deepEqual((await e.show(id)).addresses, addresses)
  assert.deepEqual(await portHosts(id), [e.near.name])
  assert.deepEqual(await e.roomOf(id), { [e.near.name]: 128 })
  const migration = await e.newestMigration(id)
  assert.deepEqual(
    [migration.status, migration.migration_type, migration.source_compute, migration.dest_compute],
    ["done", "evacuation", e.lost.name, e.near.name],
  )
  const { body } = await e.c.call("GET", `/servers/${id}/os-instance-actions`, undefined, e.asAdmin())
  assert.equal(body.instanceActions[0].action, "evacuate")
  const detail = `/servers/${id}/os-instance-actions/${body.instanceActions[0].request_id}`
  const { events } = (await e.c.call("GET", detail, undefined, e.asAdmin())).body.instanceAction
  assert.deepEqual(
    events.map(({ event, result }: Body) => [event, result]),
    [["compute_rebuild_instance", "Success"]],
  )
  const sent = await sql<{ type: string }>`select type from engine.outbox_event
    where resource_id = ${id} or payload->>'instance_id' = ${id}`.execute(e.platform.db)
  const types = new Set(sent.rows.map(({ type }) => type))
  for (const event of ["evacuate", "rebuild.start", "rebuild.end"])
    assert.ok(types.has(`compute.instance.${event}`), [...types].join(" "))

  await e.lost.boot()
  await e.isLeft(id)
  assert.deepEqual(await e.lost.powers([id]), ["none"])
  await eventually(
    "the one that stayed to run again",
    async () => (await e.lost.powers([stays]))[0] === "running",
  )
  await e.c.reaches(stays, "ACTIVE")
  await e.c.reaches(id, "ACTIVE")
  assert.deepEqual(await e.near.powers([id]), ["running"])
})

test("a host that was cut off ends the guests that go on elsewhere, however many, and no other", async () => {
  const ids = await Promise.all(Array.from({ length: 3 }, () => e.serverOn(e.lost)))
  const stays = await e.serverOn(e.lost)
  await e.lost.cut()
  await e.isDown(e.lost)
  for (const id of ids) assert.equal((await e.evacuate(id)).status, 200)
  for (const id of ids) await e.c.reaches(id, "ACTIVE")
  assert.deepEqual(await e.lost.powers(ids), ["running", "running", "running"], "nobody could tell it")
  await e.lost.mend()
  await eventually("its guests to be gone", async () => {
    return (await e.lost.powers(ids)).every((power) => power === "none")
  })
  assert.deepEqual(await e.lost.powers([stays]), ["running"])
  for (const id of ids) await e.isLeft(id)
  // What an earlier worker still says to it is refused.
  const fence = { generation: (await selectServer(e.platform.db, ids[0] ?? ""))?.generation ?? 0, fence: 9 }
  const late = e.lost.agent.handle("vm.stop", { serverId: ids[0] ?? "", graceMs: 0, fence })
  await assert.rejects(late)
})

test("a host that is forced down is as one that is down; if it answers, its guest ends before the other starts", async () => {
  const id = await e.serverOn(e.lost)
  assert.equal((await e.evacuate(id)).status, 400)
  const service = (await e.ok("GET", `/compute/v2.1/os-services?host=${e.lost.name}`)).services[0].id
  const force = (isForced: boolean) =>
    e.ok("PUT", `/compute/v2.1/os-services/${service}`, { forced_down: isForced })
  await force(true)
  try {
    assert.equal((await e.evacuate(id)).status, 200)
    await e.c.reaches(id, "ACTIVE")
    assert.deepEqual([(await e.hostOf(id)) === e.lost.name, await e.lost.powers([id])], [false, ["shutdown"]])
    // Started again, it is told to start nothing as long as an operator says that it is down.
    await e.lost.killAgent()
    await e.lost.boot()
  } finally {
    await force(false)
  }
  e.lost.agent.sayAlive()
  await e.isLeft(id)
  assert.deepEqual(await e.lost.powers([id]), ["none"])
})

test("below 2.95 what was off stays off; from there on each is off; passwords are told as long as Nova told them", async () => {
  const [off, runs, broken, old] = [
    await e.serverOn(e.lost),
    await e.serverOn(e.lost),
    await e.serverOn(e.lost),
    await e.serverOn(e.lost),
  ]
  await e.act(off, { "os-stop": null })
  await e.c.reaches(off, "SHUTOFF")
  await e.act(broken, { "os-resetState": { state: "error" } })
  await e.lost.losePower()
  await e.isDown(e.lost)
  await e.evacuate(off)
  await e.c.reaches(off, "SHUTOFF")
  await e.evacuate(runs, { adminPass: "secret" }, "2.95")
  await e.c.reaches(runs, "SHUTOFF")
  assert.equal(await readAdminPassword(e.platform, runs), "secret")
  assert.equal((await e.evacuate(broken, { force: true, host: e.spare.name }, "2.29")).status, 200)
  await e.c.reaches(broken, "ACTIVE")
  assert.equal(await e.hostOf(broken), e.spare.name)
  const shared = await e.evacuate(old, { onSharedStorage: "True" }, "2.13")
  assert.equal(shared.status, 400)
  assert.match(shared.body.badRequest.message, /Invalid state of instance files on shared storage/)
  const told = await e.evacuate(old, { onSharedStorage: false }, "2.13")
  assert.equal(told.status, 200)
  assert.match(told.body.adminPass, /^[\w-]{12}$/)
  await e.c.reaches(old, "ACTIVE")
  assert.equal(await readAdminPassword(e.platform, old), told.body.adminPass)
  await e.lost.boot()
  for (const id of [off, runs, broken, old]) await e.isLeft(id)
})

test("in other states it is refused, and where the scheduler lets it go nowhere it is in error where it was", async () => {
  const [paused, id] = [await e.serverOn(e.lost), await e.serverOn(e.lost)]
  await e.act(paused, { pause: null })
  await e.c.reaches(paused, "PAUSED")
  await e.lost.losePower()
  await e.isDown(e.lost)
  const refused = await e.evacuate(paused)
  assert.equal(refused.status, 409)
  assert.match(
    refused.body.conflictingRequest.message,
    /Cannot 'evacuate' instance .* while it is in vm_state paused/,
  )
  await setHostDisabled(e.platform, e.spare.name, "closed")
  assert.equal((await e.evacuate(id, { host: e.spare.name })).status, 200)
  await e.c.reaches(id, "ERROR")
  const failed = await e.newestMigration(id)
  assert.deepEqual([failed.status, await e.hostOf(id)], ["error", e.lost.name])
  assert.match((await e.show(id)).fault.message, /No valid host was found/)
  assert.deepEqual(await e.roomOf(id), { [e.lost.name]: 128 })
  assert.equal((await e.evacuate(id)).status, 200)
  await e.c.reaches(id, "ACTIVE")
  assert.equal(await e.hostOf(id), e.near.name)
  await e.lost.boot()
  await e.isLeft(id)
})

test("what fails on the new host leaves nothing there; the server is where it was, and may be evacuated again", async () => {
  const id = await e.serverOn(e.lost)
  await e.lost.losePower()
  await e.isDown(e.lost)
  e.near.hypervisor.setControl({ fail: { operation: "ensure", at: 1, times: 1_000 } })
  await e.evacuate(id, { host: e.near.name })
  await e.c.reaches(id, "ERROR")
  e.near.hypervisor.setControl({ fail: null })
  assert.deepEqual(
    [
      await e.hostOf(id),
      (await e.newestMigration(id)).status,
      await e.near.powers([id]),
      await portHosts(id),
    ],
    [e.lost.name, "failed", ["none"], [e.lost.name]],
  )
  assert.deepEqual(await e.roomOf(id), { [e.lost.name]: 128 })
  await e.evacuate(id, { host: e.near.name })
  await e.c.reaches(id, "ACTIVE")
  assert.deepEqual(await e.near.powers([id]), ["running"])
  await e.lost.boot()
  await e.isLeft(id)
  assert.deepEqual(await e.lost.powers([id]), ["none"])
})

test("when the new host dies with it the server stays there, and is evacuated from there", async () => {
  const id = await e.serverOn(e.lost)
  await e.lost.losePower()
  await e.isDown(e.lost)
  e.near.hypervisor.setControl({ delayMs: 600_000 })
  await e.evacuate(id, { host: e.near.name })
  await eventually("it to be the new host's", async () => (await e.hostOf(id)) === e.near.name)
  await e.near.cut()
  await e.isDown(e.near)
  await e.c.reaches(id, "ERROR")
  assert.deepEqual([await e.hostOf(id), (await e.newestMigration(id)).status], [e.near.name, "failed"])
  assert.deepEqual(await e.roomOf(id), { [e.near.name]: 128 })
  assert.equal((await e.evacuate(id)).status, 200)
  await e.c.reaches(id, "ACTIVE")
  assert.equal(await e.hostOf(id), e.spare.name)
  e.near.hypervisor.setControl({ delayMs: 0 })
  await e.near.mend()
  await e.lost.boot()
  await e.isLeft(id)
  await eventually("nothing to be left", async () => {
    const found = [...(await e.lost.powers([id])), ...(await e.near.powers([id]))]
    return found.every((power) => power === "none")
  })
  assert.deepEqual(await e.spare.powers([id]), ["running"])
  // The one that failed is over, too, now that nothing is left of it.
  const path = `/os-migrations?instance_uuid=${id}&status=error`
  const failed = async () => (await e.c.call("GET", path, undefined, e.asAdmin())).body.migrations.length
  await eventually("the first one to be over", async () => (await failed()) === 1)
})

test("a host that is back before anything has changed keeps its server as it is", async () => {
  const id = await e.serverOn(e.lost)
  await e.lost.cut()
  await e.isDown(e.lost)
  const { ctx, started } = capturing(e.platform, await callerOf(e.c))
  await evacuateServer(ctx, { serverId: id, host: null })
  await e.lost.mend()
  await e.restore()
  await transact(e.platform.db, (tx) =>
    e.platform.sagas.start(tx, evacuateServerSaga, started[0], { requestId: "req-x", resourceId: id }),
  )
  await e.migrationIs(id, "error")
  const { status, fault } = await e.c.reaches(id, "ACTIVE")
  assert.equal(status, "ACTIVE", JSON.stringify(fault))
  assert.deepEqual([await e.hostOf(id), await e.lost.powers([id])], [e.lost.name, ["running"]])
})

test("a host that boots while its server is on its way is told later, and then what became of it", async () => {
  const id = await e.serverOn(e.lost)
  await e.lost.losePower()
  await e.isDown(e.lost)
  e.near.hypervisor.setControl({ delayMs: 600_000 })
  await e.evacuate(id, { host: e.near.name })
  await eventually("it to be the new host's", async () => (await e.hostOf(id)) === e.near.name)
  await e.lost.boot()
  e.near.hypervisor.setControl({ delayMs: 0 })
  await e.c.reaches(id, "ACTIVE")
  assert.deepEqual(await e.near.powers([id]), ["running"])
  await e.isLeft(id)
  assert.deepEqual(await e.lost.powers([id]), ["none"])
})

test("what a host may start the rows of this moment say, and to ask is a sign of life", async () => {
  const [own, other, unknown] = [await e.serverOn(e.lost), await e.serverOn(e.near), newUuid()]
  const serverIds = [own, other, unknown]
  const ask = (epochId: string | null) => startRightsOf(e.platform, e.lost.name, { serverIds, epochId })
  for (const epochId of [null, e.platform.epoch.id])
    assert.deepEqual(await ask(epochId), { start: [own], leave: [other, unknown] })
  // One that is on no host is not this one's.
  const put = (host: string | null) =>
    sql`update compute.server set host = ${host} where id = ${other}`.execute(e.platform.db)
  await put(null)
  assert.deepEqual((await ask("before")).leave, [other])
  await put(e.near.name)
  // After a backup was restored.
  assert.deepEqual(await ask("before"), { start: [own, unknown], leave: [other] })
  await e.lost.cut()
  await e.isDown(e.lost)
  assert.deepEqual((await ask(null)).start, [own])
  const { status, body } = await e.evacuate(own)
  assert.deepEqual([status, body.badRequest.message], [400, "Compute service of lost is still in use."])
  await sql`update compute.host set is_forced_down = true where name = ${e.lost.name}`.execute(e.platform.db)
  const asForced = await ask(null)
  await sql`update compute.host set is_forced_down = false where name = ${e.lost.name}`.execute(e.platform.db)
  assert.deepEqual(asForced, { start: [], leave: [other, unknown] })
})

test("of what is asked for at a time one is begun, and the others are refused", async () => {
  const id = await e.serverOn(e.lost)
  await e.lost.losePower()
  await e.isDown(e.lost)
  const { imageId } = e.c
  const asked = await Promise.all([
    e.evacuate(id, { host: e.near.name }),
    e.evacuate(id, { host: e.spare.name }),
    e.evacuate(id),
    e.act(id, { rebuild: { imageRef: imageId } }),
    e.act(id, { "os-migrateLive": { host: null, block_migration: "auto" } }),
    e.act(id, { migrate: null }),
  ])
  const begun = asked.filter(({ status }) => status < 300)
  assert.equal(begun.length, 1)
  for (const { status } of asked.filter((reply) => !begun.includes(reply))) assert.equal(status, 409)
  // Whichever it was, it does not end without its host, unless that was an evacuation.
  await e.act(id, { "os-resetState": { state: "active" } })
  await eventually("it to be free", async () => (await e.evacuate(id)).status === 200)
  await e.c.reaches(id, "ACTIVE")
  const to = await e.hostOf(id)
  await e.lost.boot()
  await e.isLeft(id)
  await e.sagasAreOver(id)
  assert.deepEqual(await e.roomOf(id), { [to]: 128 })
  const found = await Promise.all([e.lost, e.near, e.spare].map((host) => host.powers([id])))
  assert.deepEqual(found.flat().sort(), ["none", "none", "running"])
})

test("a delete on the way leaves nothing on either host", async () => {
  const id = await e.serverOn(e.lost)
  await e.lost.losePower()
  await e.isDown(e.lost)
  e.near.hypervisor.setControl({ delayMs: 600_000 })
  await e.evacuate(id, { host: e.near.name })
  await eventually("it to be on its way", () => e.near.hypervisor.underWay > 0)
  assert.equal(await e.hostOf(id), e.near.name)
  await e.ok("DELETE", `/compute/v2.1/servers/${id}`)
  e.near.hypervisor.setControl({ delayMs: 0 })
  await e.isGone(id)
  await eventually("nothing on the new host", async () => (await e.near.powers([id]))[0] === "none")
  assert.equal((await e.newestMigration(id)).status, "error")
  await e.lost.boot()
  await eventually("nothing on the old one", async () => {
    e.lost.agent.sayAlive()
    await e.ok("GET", `/compute/v2.1/os-services`)
    return (await e.lost.powers([id]))[0] !== "running"
  })
})
