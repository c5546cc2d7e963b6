// Volumes of servers that leave a host that is down, over HTTP; and all servers of such a host, as the command asks it.
import assert from "node:assert/strict"
import { after, afterEach, before, beforeEach, test } from "node:test"
import { sql } from "kysely"
import { setHostDisabled } from "../src/compute/index.ts"
import { answerMove } from "../src/launch/move-answer.ts"
import { evacuateHost, type MoveEvent, type MoveParts } from "../src/launch/move-loop.ts"
import { eventually, systemClock } from "../src/platform/clock/clock.ts"
import { type Body, EvacuateCloud } from "./evacuate-cloud.ts"
import type { FarHost } from "./far-host.ts"

let e: EvacuateCloud
before(async () => {
  e = await EvacuateCloud.start()
})
after(() => e?.[Symbol.asyncDispose]())
beforeEach(() => e.restore())
afterEach(() => e.empty())

const volumeOf = async (id: string): Promise<Body> => (await e.ok("GET", `/volume/v3/volumes/${id}`)).volume
const volumeHost = async (id: string) => (await volumeOf(id))["os-vol-host-attr:host"].replace(/@.*/, "")

async function volumeIn(serverId: string, type: string): Promise<string> {
  const { volume } = await e.ok("POST", "/volume/v3/volumes", { volume: { size: 1, volume_type: type } })
  const is = (status: string) =>
    eventually(`the volume to be ${status}`, async () => (await volumeOf(volume.id)).status === status)
  await is("available")
  await attach(serverId, volume.id)
  return volume.id
}

const attachmentsOf = (serverId: string) => `/compute/v2.1/servers/${serverId}/os-volume_attachments`

async function attach(serverId: string, volumeId: string): Promise<void> {
  await e.ok("POST", attachmentsOf(serverId), { volumeAttachment: { volumeId } })
  await eventually("the server to have it", async () => {
    const { status, attachments } = await volumeOf(volumeId)
    return status === "in-use" && attachments.some((each: Body) => each.server_id === serverId)
  })
}

async function detach(serverId: string, volumeId: string): Promise<void> {
  await e.ok("DELETE", `${attachmentsOf(serverId)}/${volumeId}`)
  await eventually("the server to have it no more", async () =>
    (await volumeOf(volumeId)).attachments.every((each: Body) => each.server_id !== serverId),
  )
}

async function disksOn(host: FarHost, serverId: string): Promise<string[]> {
  const { here } = await host.agent.handle("host.unknown", { serverIds: [serverId] })
  return here.flatMap(({ spec }) => spec?.disks.map(({ name }) => name) ?? [])
}

test("a volume that the new host reaches comes along; one that fails there is the old host's again", async () => {
  const id = await e.serverOn(e.lost)
  const volumeId = await volumeIn(id, "nas")
  assert.equal(await volumeHost(volumeId), e.lost.name)
  const generation = async () =>
    (
      await sql<{ generation: number }>`select generation from block_storage.volume
        where id = ${volumeId}`.execute(e.platform.db)
    ).rows[0]?.generation ?? 0
  const before = await generation()
  await e.lost.losePower()
  await e.isDown(e.lost)
  e.near.hypervisor.setControl({ fail: { operation: "ensure", at: 1, times: 1_000 } })
  await e.evacuate(id, { host: e.near.name })
  await e.c.reaches(id, "ERROR")
  e.near.hypervisor.setControl({ fail: null })
  assert.deepEqual([await e.hostOf(id), await volumeHost(volumeId)], [e.lost.name, e.lost.name])
  await e.evacuate(id, { host: e.near.name })
  await e.c.reaches(id, "ACTIVE")
  assert.deepEqual([await volumeHost(volumeId), (await volumeOf(volumeId)).status], [e.near.name, "in-use"])
  assert.deepEqual(await disksOn(e.near, id), ["root", volumeId])
  assert.ok((await generation()) > before)
  await e.lost.boot()
  await e.isLeft(id)
  assert.deepEqual(await disksOn(e.lost, id), [])
  assert.equal((await volumeOf(volumeId)).status, "in-use")
})

test("a volume that lies on the host that is down keeps its server there, with the reason", async () => {
  const mapping = { source_type: "blank", destination_type: "volume", volume_size: 1, volume_type: "own" }
  const id = await e.serverOn(e.lost, {
    block_device_mapping_v2: [
      { boot_index: 0, uuid: e.c.imageId, source_type: "image", destination_type: "local" },
      { ...mapping, delete_on_termination: true },
    ],
  })
  await e.lost.losePower()
  await e.isDown(e.lost)
  const { status, body } = await e.evacuate(id)
  assert.equal(status, 400)
  assert.match(
    body.badRequest.message,
    /A volume of server .* lies where no other host reaches it while lost is down/,
  )
  assert.equal((await e.show(id)).status, "ACTIVE")
  assert.equal(await e.newestMigration(id), undefined)
  await e.lost.boot()
  await eventually("it to run again", async () => (await e.lost.powers([id]))[0] === "running")
  await e.c.reaches(id, "ACTIVE")
})

test("what another server has, or somebody works for, keeps a server there, and it is said at once", async () => {
  const [id, other] = [await e.serverOn(e.lost), await e.serverOn(e.lost)]
  const [own, many] = [await volumeIn(id, "nas"), await volumeIn(id, "many")]
  await attach(other, many)
  const { snapshot } = await e.ok("POST", "/volume/v3/snapshots", {
    snapshot: { volume_id: own, force: true },
  })
  const made = await eventually("the snapshot", async () => {
    const { status } = (await e.ok("GET", `/volume/v3/snapshots/${snapshot.id}`)).snapshot
    return status !== "creating" && status
  })
  const snapshotIs = (status: string) =>
    e.ok("POST", `/volume/v3/snapshots/${snapshot.id}/action`, { "os-reset_status": { status } })
  await e.lost.cut()
  await e.isDown(e.lost)
  const refusal = async (asked = {}) => {
    const { status, body } = await e.evacuate(id, asked)
    assert.equal(await e.newestMigration(id), undefined)
    assert.equal((await e.show(id)).status, "ACTIVE")
    return [status, JSON.stringify(body)] as const
  }
  const shared = await refusal()
  assert.equal(shared[0], 400)
  assert.match(shared[1], new RegExp(`Volume ${many} cannot come to another host now: others have it`))
  await e.lost.mend()
  await e.restore()
  await detach(other, many)
  await e.lost.cut()
  await e.isDown(e.lost)
  await snapshotIs("creating")
  const busy = await refusal()
  assert.equal(busy[0], 400)
  assert.match(busy[1], new RegExp(`Volume ${own} .*its snapshot ${snapshot.id} is creating`))
  await snapshotIs(made)
  const far = await refusal({ host: "host1" })
  assert.equal(far[0], 400)
  assert.match(far[1], /A volume of server .* cannot be reached from host1/)
  assert.equal((await e.evacuate(id)).status, 200)
  await e.c.reaches(id, "ACTIVE")
  assert.deepEqual([await volumeHost(own), await volumeHost(many)], [await e.hostOf(id), await e.hostOf(id)])
  await e.lost.mend()
  await e.isLeft(id)
  await e.ok("DELETE", `/volume/v3/snapshots/${snapshot.id}`)
})

async function evacuateAll({ atOnce = 2, hear = (_event: MoveEvent) => {} } = {}) {
  const events: MoveEvent[] = []
  const parts: MoveParts = {
    // What the cloud answers is what comes of JSON.
    ask: async (action, question) =>
      JSON.parse(JSON.stringify(await answerMove(e.platform, { action, ...question }))),
    tell: (event) => {
      events.push(event)
      hear(event)
    },
    pause: () => systemClock.sleep(20),
    nowMs: () => systemClock.monotonicMs(),
  }
  const isEmpty = await evacuateHost(parts, { host: e.lost.name, atOnce })
  const toldOf = (id: string) =>
    events.flatMap((each) => (each.event === "sum" || each.id !== id ? [] : [each.event]))
  const why = (id: string) =>
    JSON.stringify(events.findLast((each) => each.event !== "sum" && each.id === id))
  return { isEmpty, toldOf, why, sum: events.find(({ event }) => event === "sum") }
}

test("kumoi host evacuate: all servers of a host that is down, each told; not of one that is up", async () => {
  const names = ["runs", "off", "broken", "paused"]
  const [runs = "", off = "", broken = "", paused = ""] = await Promise.all(
    names.map((name) => e.serverOn(e.lost, { name })),
  )
  await assert.rejects(evacuateAll(), { code: "cli.move.host_answers" })
  const nowhere = answerMove(e.platform, { action: "lost", host: "nowhere" })
  await assert.rejects(nowhere, { kind: "not_found" })
  await e.act(off, { "os-stop": null })
  await e.c.reaches(off, "SHUTOFF")
  await e.act(broken, { "os-resetState": { state: "error" } })
  await e.act(paused, { pause: null })
  await e.c.reaches(paused, "PAUSED")
  await e.act(runs, { lock: null })
  await e.lost.losePower()
  await e.isDown(e.lost)
  const drained = await answerMove(e.platform, { action: "find", server: runs, mayStop: false })
  assert.match(JSON.stringify(drained), /host evacuate/)
  for (const host of [e.near, e.spare]) await setHostDisabled(e.platform, host.name, "full")
  const first = await evacuateAll()
  assert.equal(first.isEmpty, false)
  assert.match(first.why(runs), /No valid host was found/)
  for (const host of [e.near, e.spare]) await setHostDisabled(e.platform, host.name, null)
  // Whoever is on the way already is followed.
  e.near.hypervisor.setControl({ delayMs: 600_000 })
  await answerMove(e.platform, { action: "begin", server: off, way: "anew", host: e.near.name })
  const second = await evacuateAll({
    hear: (event) => {
      if (event.event === "begins" && event.id === off && event.isFound)
        e.near.hypervisor.setControl({ delayMs: 0 })
    },
  })
  assert.equal(second.isEmpty, false)
  for (const id of [runs, broken]) assert.deepEqual(second.toldOf(id), ["begins", "moved"])
  assert.deepEqual(second.toldOf(paused), ["left"])
  assert.match(second.why(paused), /it is paused; only what is active, off or in error/)
  assert.partialDeepStrictEqual(second.sum, { live: 0, cold: 0, left: 1 })
  // That nobody found a place for it at first was an error, and started nothing that was off.
  for (const id of [runs, off, broken]) {
    await e.c.reaches(id, id === off ? "SHUTOFF" : "ACTIVE")
    assert.notEqual(await e.hostOf(id), e.lost.name)
  }
  const third = await evacuateAll()
  assert.deepEqual([third.toldOf(paused), third.isEmpty], [["left"], false])
  await e.remove(paused)
  assert.equal((await evacuateAll()).isEmpty, true)
  await e.lost.boot()
  for (const id of [runs, off, broken]) await e.isLeft(id)
})
