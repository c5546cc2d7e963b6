// A host that is back after its servers were evacuated and says what is not so: it changes nothing of them, and learns
// nothing of others'.
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { sql } from "kysely"
import {
  agentReportTopic,
  agentTopic,
  type StartRights,
  startRightsMost,
  startRightsTopic,
  type VmState,
} from "../src/agent/protocol.ts"
import { reconcileMachines } from "../src/compute/host/machines.reconciler.ts"
import { noteHosts } from "../src/compute/host/report.ts"
import { noteHostLost, setHostDisabled } from "../src/compute/index.ts"
import { selectServer } from "../src/compute/server/store.ts"
import { busOfHost } from "../src/host/door/host-bus.ts"
import { eventually } from "../src/platform/clock/clock.ts"
import type { Platform } from "../src/platform/context/context.ts"
import { newUuid } from "../src/platform/ids/ids.ts"
import { FarHost } from "./far-host.ts"
import { type ServerCloud, startServerCloud } from "./server-cloud.ts"

let c: ServerCloud
let platform: Platform
let lost: FarHost
let near: FarHost
/** Of the host that is lost: evacuated from it. Another one's: never on it. */
let gone: string
let strange: string

before(async () => {
  c = await startServerCloud()
  platform = c.cloud.cloud.platform
  await setHostDisabled(platform, "host1", "for others")
  lost = await FarHost.start(platform, { name: "lost" })
  near = await FarHost.start(platform, { name: "near" })
  gone = await serverOn("lost")
  strange = await serverOn("near")
  await lost.killAgent()
  await eventually("the host to be down", async () => {
    await noteHostLost(platform, "lost")
    return (await c.act(gone, { evacuate: { host: "near" } }, asAdmin())).status === 200
  })
  await c.reaches(gone, "ACTIVE")
})
after(async () => {
  await near?.[Symbol.asyncDispose]()
  await c?.[Symbol.asyncDispose]()
})

const asAdmin = () => ({ token: c.admin, version: "2.94" })
const never = new AbortController().signal

async function serverOn(host: string): Promise<string> {
  const where = { availability_zone: `nova:${host}`, networks: "none" }
  const server = { name: "vm", imageRef: c.imageId, flavorRef: c.flavorId, ...where }
  const made = await c.call("POST", "/servers", { server }, asAdmin())
  await c.reaches(made.body.server.id, "ACTIVE")
  return made.body.server.id
}

/** What the rows say of both servers, and what runs. */
async function facts() {
  const rows = await Promise.all([gone, strange].map((id) => selectServer(platform.db, id)))
  const said = rows.map((row) => [row?.host, row?.vmState, row?.taskState, row?.powerState, row?.generation])
  const moves =
    await sql`select source_host, dest_host, status from compute.migration order by number`.execute(
      platform.db,
    )
  return { said, moves: moves.rows, powers: await near.powers([gone, strange]) }
}

const at = "2026-01-01T00:00:00Z"
const off: VmState = { power: "shutdown", since: at }

/** It answers each command as it likes; what it was told is kept. */
async function lyingHost(machines: { serverId: string; state: VmState }[]) {
  const told: { method: string; args: Record<string, unknown> }[] = []
  const serving = await platform.bus.serve(agentTopic("lost"), async (method, args) => {
    told.push({ method, args: args as Record<string, unknown> })
    if (method === "vm.list") return machines
    if (method === "host.epoch") return { epoch: platform.epoch }
    return off
  })
  return { told, [Symbol.asyncDispose]: () => serving[Symbol.asyncDispose]() }
}

async function comesBack(): Promise<void> {
  const { rows } = await sql<{ description: never }>`select description from compute.host
    where name = 'lost'`.execute(platform.db)
  const [row] = rows
  assert.ok(row)
  await noteHosts(platform, [{ name: "lost", description: row.description }])
}

test("reports of machines that are another host's now change nothing", async () => {
  const before = await facts()
  await using host = await lyingHost([])
  const own = busOfHost(platform.bus, "lost", "127.0.0.1")
  for (const serverId of [gone, strange])
    for (const state of [off, { ...off, power: "crashed" as const }, { ...off, cannotStart: "no disk" }])
      await own.publish(agentReportTopic, { kind: "vm", host: "lost", serverId, state, at })
  // Of another host it may not even speak.
  await assert.rejects(
    own.publish(agentReportTopic, { kind: "vm", host: "near", serverId: gone, state: off, at }),
  )
  await comesBack()
  await reconcileMachines(platform, never)
  const { moves, ...now } = await facts()
  assert.deepEqual(now, { said: before.said, powers: before.powers })
  // It says that it has nothing more of its own one: that much it may say.
  assert.deepEqual(moves, [{ source_host: "lost", dest_host: "near", status: "completed" }])
  assert.deepEqual(
    host.told.filter(({ method }) => !["vm.list", "host.epoch", "host.serve_metadata"].includes(method)),
    [],
  )
})

test("machines that it says to have are commanded on it alone", async () => {
  const before = await facts()
  const running: VmState = { ...off, power: "running" }
  await using host = await lyingHost([gone, strange].map((serverId) => ({ serverId, state: running })))
  await comesBack()
  for (let pass = 0; pass < 3; pass++) await reconcileMachines(platform, never)
  assert.deepEqual(await facts(), before)
  const ended = host.told.filter(({ method }) => method === "vm.destroy")
  for (const { args } of ended) assert.ok([gone, strange].includes(String(args.serverId)))
})

test("it is told to start none of them, whoever it says to be and whatever it asks", async () => {
  const before = await facts()
  const own = busOfHost(platform.bus, "lost", "127.0.0.1")
  const ask = async (serverIds: unknown, as = "lost"): Promise<StartRights> =>
    (await own.call(
      startRightsTopic,
      as,
      { serverIds, epochId: platform.epoch.id },
      { timeoutMs: 240_000 },
    )) as StartRights
  const ids = [gone, strange, newUuid()]
  for (const as of ["lost", "near", "host1", ""])
    assert.deepEqual(await ask(ids, as), { start: [], leave: ids }, `as ${as}`)
  const many = Array.from({ length: startRightsMost + 1 }, newUuid)
  for (const wrong of [["x"], "all", null, many, [{ id: gone }]])
    await assert.rejects(ask(wrong), { kind: "invalid" })
  await assert.rejects(own.call(agentTopic("near"), "vm.destroy", {}, { timeoutMs: 240_000 }), {
    code: "host.member.may_not",
  })
  // One that nobody knows has no machines, and is no host for having asked.
  const nobody = busOfHost(platform.bus, "nobody", "127.0.0.9")
  const answer = await nobody.call(
    startRightsTopic,
    "",
    { serverIds: ids, epochId: null },
    { timeoutMs: 240_000 },
  )
  assert.deepEqual(answer, { start: [], leave: ids })
  assert.deepEqual(
    (await sql`select name from compute.host where name = 'nobody'`.execute(platform.db)).rows,
    [],
  )
  assert.deepEqual(await facts(), before)
})

test("who asks too often is refused, as with reports", async () => {
  const own = busOfHost(platform.bus, "lost", "127.0.0.1")
  const flood = Array.from({ length: 700 }, () =>
    own.call(startRightsTopic, "lost", { serverIds: [], epochId: null }, { timeoutMs: 240_000 }).then(
      () => "answered",
      ({ code }) => code,
    ),
  )
  const codes = await Promise.all(flood)
  assert.ok(codes.includes("host.member.too_often"))
})
