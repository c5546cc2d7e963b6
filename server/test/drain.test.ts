// Hosts that an operator empties, and single servers that go: `kumoi host drain` and `kumoi server move`, as the
// command asks the running cloud.
import assert from "node:assert/strict"
import { after, afterEach, before, test } from "node:test"
import { sql } from "kysely"
import { setHostDisabled } from "../src/compute/index.ts"
import { answerHost, type HostAnswer } from "../src/launch/host-answer.ts"
import { answerMove, type MoveAnswers } from "../src/launch/move-answer.ts"
import { drainHost, type MoveEvent, type MoveParts, moveOne } from "../src/launch/move-loop.ts"
import { eventually, systemClock } from "../src/platform/clock/clock.ts"
import type { Platform } from "../src/platform/context/context.ts"
import { closeOtherHost, openOtherHost, otherHost } from "./other-host.ts"
import { type ServerCloud, startServerCloud } from "./server-cloud.ts"
import { hasPool, volumeIs } from "./volume-cloud.ts"

let c: ServerCloud
let platform: Platform
const ownHost = "host1"

before(async () => {
  c = await startServerCloud({ capacity: { vcpus: 64, ramMib: 16_384, diskGib: 1_000 } })
  platform = c.cloud.cloud.platform
  await openOtherHost(platform)
  await hasPool(c)
})
after(() => c[Symbol.asyncDispose]())
afterEach(async () => {
  await setHostDisabled(platform, ownHost, null)
  const { body } = await c.call("GET", "/servers?all_tenants=1", undefined, asAdmin())
  for (const { id } of body.servers) {
    await c.call("DELETE", `/servers/${id}`, undefined, asAdmin())
    await c.isGone(id)
  }
})

const asAdmin = () => ({ token: c.admin })

/** On `host1`, as there is no other host for the moment. */
async function serversThere(...names: string[]): Promise<string[]> {
  await closeOtherHost(platform)
  const ids: string[] = []
  for (const name of names) ids.push(await c.create({ name }))
  for (const id of ids) await c.reaches(id, "ACTIVE")
  await openOtherHost(platform)
  return ids
}

async function turn(id: string, action: string, status: string): Promise<void> {
  assert.equal((await c.act(id, { [action]: null })).status, 202)
  await c.reaches(id, status)
}

const ofServer = (id: string) => `/servers/${id}/os-volume_attachments`

/** Of the host's own storage. */
async function giveVolume(id: string): Promise<string> {
  const token = c.demo
  const made = await c.cloud.request("POST", "/volume/v3/volumes", { token, body: { volume: { size: 1 } } })
  const { id: volumeId } = made.body.volume
  await volumeIs(c, volumeId, "available")
  await c.call("POST", ofServer(id), { volumeAttachment: { volumeId } })
  await volumeIs(c, volumeId, "in-use")
  return volumeId
}

async function takeVolume(id: string, volumeId: string): Promise<void> {
  await c.call("DELETE", `${ofServer(id)}/${volumeId}`)
  await volumeIs(c, volumeId, "available")
}

const hostOf = async (id: string): Promise<string> => (await c.show(id, asAdmin()))["OS-EXT-SRV-ATTR:host"]

async function disabledReason(): Promise<string | null> {
  const answer = await answerHost(c.cloud.cloud, { action: "describe", host: ownHost })
  return (answer as Extract<HostAnswer, { projects: unknown }>).host.disabledReason
}

function partsTo(events: MoveEvent[]): MoveParts {
  return {
    // What the cloud answers is what comes of JSON.
    ask: async (action, question) =>
      JSON.parse(JSON.stringify(await answerMove(platform, { action, ...question }))),
    tell: (event) => events.push(event),
    pause: () => systemClock.sleep(20),
    nowMs: () => systemClock.monotonicMs(),
  }
}

async function drain({ mayStop = false, atOnce = 2 } = {}) {
  const events: MoveEvent[] = []
  const isEmpty = await drainHost(partsTo(events), { host: ownHost, atOnce, mayStop })
  return { isEmpty, events, sum: events.find(({ event }) => event === "sum") }
}

async function move(server: string, { to = null as string | null, mayStop = false } = {}) {
  const events: MoveEvent[] = []
  const isThere = await moveOne(partsTo(events), { server, to, mayStop })
  return { isThere, events }
}

/** Of one server: what was told, and how it went or why not. */
const toldOf = (events: readonly MoveEvent[], id: string) =>
  events.flatMap((event) => {
    if (event.event === "sum" || event.id !== id) return []
    if (event.event === "begins" || event.event === "moved") return [`${event.event} ${event.way}`]
    return [event.event]
  })

test("what runs goes while it runs, what is off goes while it is off, and what cannot is left with its reason", async () => {
  const [running = "", second = "", paused = "", off = "", asleep = "", bound = ""] = await serversThere(
    ...["running", "second", "paused", "off", "asleep", "bound"],
  )
  await turn(paused, "pause", "PAUSED")
  await turn(off, "os-stop", "SHUTOFF")
  await turn(asleep, "suspend", "SUSPENDED")
  const volumeId = await giveVolume(bound)
  await c.act(second, { lock: null })
  const first = await drain()
  assert.equal(first.isEmpty, false)
  for (const id of [running, second, paused])
    assert.deepEqual(toldOf(first.events, id), ["begins live", "moved live"])
  assert.deepEqual(toldOf(first.events, off), ["begins cold", "moved cold"])
  assert.deepEqual([toldOf(first.events, asleep), toldOf(first.events, bound)], [["left"], ["failed"]])
  const why = (id: string) => first.events.find((each) => "why" in each && each.id === id)
  assert.match(JSON.stringify(why(asleep)), /suspended/)
  assert.match(JSON.stringify(why(bound)), new RegExp(`Volume ${volumeId} keeps server ${bound} on host1`))
  assert.partialDeepStrictEqual(first.sum, { live: 3, cold: 1, left: 2 })
  for (const [id, status, host] of [
    [running, "ACTIVE", otherHost],
    [paused, "PAUSED", otherHost],
    [off, "SHUTOFF", otherHost],
    [asleep, "SUSPENDED", ownHost],
  ] as const) {
    await c.reaches(id, status)
    assert.equal(await hostOf(id), host)
  }
  assert.equal(await disabledReason(), "drained")
  await turn(asleep, "resume", "ACTIVE")
  await takeVolume(bound, volumeId)
  const again = await drain({ mayStop: true })
  assert.equal(again.isEmpty, true)
  assert.deepEqual(
    toldOf(again.events, bound),
    ["begins live", "moved live"],
    "nothing is stopped that need not",
  )
  assert.partialDeepStrictEqual(again.sum, { live: 2, cold: 0, left: 0 })
  assert.deepEqual((await drain()).events.length, 1, "an empty one stays so")
})

test("never more than so many move at a time; an operator's reason stays", async () => {
  const ids = await serversThere("a", "b", "c")
  await setHostDisabled(platform, ownHost, "new disks")
  const { events, isEmpty } = await drain({ atOnce: 1 })
  assert.equal(isEmpty, true)
  assert.equal(await disabledReason(), "new disks")
  const order = events.flatMap((each) => (each.event === "sum" ? [] : [each.event]))
  assert.deepEqual(
    order,
    ids.flatMap(() => ["begins", "moved"]),
  )
})

test("broken off, it goes on with what it finds; what users began is theirs to confirm", async () => {
  const [ours = "", live = "", theirs = "", waiting = ""] = await serversThere("ours", "live", "theirs", "w")
  for (const id of [ours, theirs, waiting]) await turn(id, "os-stop", "SHUTOFF")
  const begin = async (server: string, way: string) =>
    await answerMove(platform, { action: "begin", server, way, host: null })
  await begin(ours, "cold")
  await c.reaches(ours, "VERIFY_RESIZE")
  await c.act(theirs, { migrate: null }, asAdmin())
  await c.reaches(theirs, "VERIFY_RESIZE")
  c.cloud.hypervisor.setControl({ copyMs: 600_000 })
  await begin(live, "live")
  const going = drain()
  await eventually("the others to be done", async () => (await hostOf(waiting)) === otherHost)
  const { body } = await c.call("GET", `/servers/${live}/migrations`, undefined, asAdmin())
  const path = `/servers/${live}/migrations/${body.migrations[0].id}/action`
  assert.equal((await c.call("POST", path, { force_complete: null }, asAdmin())).status, 202)
  c.cloud.hypervisor.setControl({ copyMs: 0 })
  const { events, isEmpty } = await going
  assert.equal(isEmpty, false)
  assert.deepEqual(toldOf(events, ours), ["moved cold"])
  assert.deepEqual(toldOf(events, live), ["begins live", "moved live"])
  assert.deepEqual(toldOf(events, theirs), ["left"])
  await c.reaches(ours, "SHUTOFF")
  await assert.rejects(answerMove(platform, { action: "confirm", server: theirs }), { kind: "conflict" })
  await c.act(theirs, { confirmResize: null })
  assert.equal((await drain()).isEmpty, true)
})

test("what finds no room, or fails on the way, stays where it is, and the reason is told", async () => {
  const [id = "", deleted = ""] = await serversThere("alone", "deleted")
  await closeOtherHost(platform)
  const { events, isEmpty } = await drain()
  assert.equal(isEmpty, false)
  const failure = events.find((each) => each.event === "failed" && each.id === id)
  assert.match(JSON.stringify(failure), /No valid host was found/)
  assert.equal(events.filter((each) => each.event === "left").length, 0, "it is told once")
  await c.reaches(id, "ACTIVE")
  await openOtherHost(platform)
  c.cloud.hypervisor.setControl({ copyMs: 600_000 })
  const going = move("deleted")
  await eventually("it to be on its way", async () => (await c.show(deleted)).status === "MIGRATING")
  await c.call("DELETE", `/servers/${deleted}`)
  const ended = await going
  c.cloud.hypervisor.setControl({ copyMs: 0 })
  assert.equal(ended.isThere, false)
  assert.match(toldOf(ended.events, deleted).join(), /^begins live,(deleted|failed)$/)
})

test("one server goes by its name, where it is told to; what is asked in a wrong way says so", async () => {
  const [id = "", one = "", other = ""] = await serversThere("web", "twin", "twin")
  const there = await move("web", { to: otherHost })
  assert.equal(there.isThere, true)
  assert.deepEqual(toldOf(there.events, id), ["begins live", "moved live"])
  assert.equal(await hostOf(id), otherHost)
  const invalid = (message: RegExp) => ({ code: "cli.option.invalid", message })
  await assert.rejects(move(id, { to: otherHost }), invalid(/there already/))
  await assert.rejects(move(id, { to: "nowhere" }), invalid(/no such host/))
  await setHostDisabled(platform, ownHost, "")
  await assert.rejects(move(id, { to: ownHost }), invalid(/it is disabled.*host enable host1/))
  await setHostDisabled(platform, ownHost, null)
  const forceDown = (isDown: boolean) =>
    sql`update compute.host set is_forced_down = ${isDown} where name = ${ownHost}`.execute(platform.db)
  await forceDown(true)
  await assert.rejects(move(id, { to: ownHost }), invalid(/it is down/))
  await forceDown(false)
  await assert.rejects(move("twin"), invalid(new RegExp(`(${one}|${other}), (${one}|${other})`)))
  await assert.rejects(move("nobody"), { kind: "not_found" })
  await assert.rejects(drainHost(partsTo([]), { host: "nowhere", atOnce: 1, mayStop: false }), {
    code: "host.member.not_found",
  })
  await turn(id, "suspend", "SUSPENDED")
  const { isThere, events } = await move(id)
  assert.deepEqual([isThere, toldOf(events, id)], [false, ["left"]])
  for (const question of [{ action: "begin", server: id, way: "by air" }, { action: "look" }, null])
    await assert.rejects(answerMove(platform, question), { code: "cli.move_question" })
})

test("how far one is on its way is said by its host", async () => {
  const [id = ""] = await serversThere("slow")
  c.cloud.hypervisor.setControl({ copyMs: 600_000 })
  const begun = await answerMove(platform, { action: "begin", server: id, way: "live", host: null })
  const { migration } = begun as MoveAnswers["begin"]
  await eventually("its percent", async () => {
    const asked = { action: "look", server: id, migration, withPercent: true }
    const { progress } = (await answerMove(platform, asked)) as MoveAnswers["look"]
    return progress.is === "on_way" && progress.to === otherHost && progress.percent === 0
  })
  c.cloud.hypervisor.setControl({ copyMs: 0 })
})
