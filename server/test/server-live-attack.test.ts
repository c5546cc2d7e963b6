// What goes wrong while servers go to another host as they run, over HTTP and at the agents.
import assert from "node:assert/strict"
import { after, before, beforeEach, test } from "node:test"
import { sql } from "kysely"
import type { Agent } from "../src/agent/agent.ts"
import type { FakeHypervisor } from "../src/agent/hypervisor/fake/fake.ts"
import { reconcileMachines } from "../src/compute/host/machines.reconciler.ts"
import { selectServer } from "../src/compute/server/store.ts"
import { eventually } from "../src/platform/clock/clock.ts"
import { newUuid } from "../src/platform/ids/ids.ts"
import { closeOtherHost, openOtherHost, otherHost } from "./other-host.ts"
import { type ServerCloud, startServerCloud } from "./server-cloud.ts"

let c: ServerCloud
let agents: Record<string, Agent>
let there: FakeHypervisor
const ownHost = "host1"

before(async () => {
  c = await startServerCloud({
    capacity: { vcpus: 64, ramMib: 8_192, diskGib: 1_000 },
    overrides: { "engine.sagaRetryFirstMs": 5, "engine.sagaRetryMostMs": 10 },
  })
  const { agent, hypervisor } = await openOtherHost(c.cloud.cloud.platform)
  there = hypervisor
  agents = { [ownHost]: c.cloud.cloud.agent.agent, [otherHost]: agent }
})
after(() => c[Symbol.asyncDispose]())
beforeEach(() => {
  there.setControl({ fail: null })
  c.cloud.hypervisor.setControl({ fail: null, copyMs: 0 })
})

const asAdmin = (version = "2.90") => ({ token: c.admin, version })

async function serverThere(attributes: Record<string, unknown> = {}, how = {}): Promise<string> {
  const { platform } = c.cloud.cloud
  await closeOtherHost(platform)
  const id = await c.create(attributes, how)
  await c.reaches(id, "ACTIVE")
  await openOtherHost(platform)
  return id
}

const live = (id: string, more: object = {}, version = "2.90") =>
  c.act(id, { "os-migrateLive": { host: null, block_migration: "auto", ...more } }, asAdmin(version))
const hostOf = async (id: string) => (await c.show(id, asAdmin()))["OS-EXT-SRV-ATTR:host"]

async function powers(id: string): Promise<Record<string, string>> {
  const found = Object.entries(agents).map(async ([host, agent]) => {
    const machines = await agent.handle("vm.list", {})
    return [host, machines.find(({ serverId }) => serverId === id)?.state.power ?? "none"] as const
  })
  return Object.fromEntries(await Promise.all(found))
}
const newestMigration = async (id: string) =>
  (await c.call("GET", `/os-migrations?instance_uuid=${id}`, undefined, asAdmin())).body.migrations[0]
const migrationsOf = async (id: string) =>
  (await c.call("GET", `/servers/${id}/migrations`, undefined, asAdmin())).body.migrations
const slowly = (copyMs: number) => c.cloud.hypervisor.setControl({ copyMs })
const onItsWay = (id: string) =>
  eventually("memory to be on the way", async () => (await migrationsOf(id))[0]?.memory_total_bytes > 0)
const isOver = (id: string) =>
  eventually("the saga to be over", async () => {
    const { rows } = await sql<{ state: string; last_error: string | null }>`
      select state, last_error from engine.saga where resource_id = ${id}
        and (name like 'compute.server.live%' or name = 'compute.server.arrive')
      order by id`.execute(c.cloud.database.db)
    const all = rows.map(({ state }) => state)
    return all.length > 0 && all.every((state) => !["running", "unwinding"].includes(state)) && all
  })
async function remove(id: string): Promise<void> {
  await c.call("DELETE", `/servers/${id}`, undefined, asAdmin())
  await c.isGone(id)
}

test("a state that is reset on the way leaves the guest running where it is", async () => {
  const id = await serverThere()
  slowly(600_000)
  await live(id)
  await onItsWay(id)
  assert.equal((await c.act(id, { "os-resetState": { state: "active" } }, asAdmin())).status, 202)
  slowly(0)
  await isOver(id)
  const found = await powers(id)
  const { status } = await c.show(id, asAdmin())
  await remove(id)
  assert.deepEqual([found, status], [{ [ownHost]: "running", [otherHost]: "none" }, "ACTIVE"])
})

test("a migration that begins after a reset is its own, whatever becomes of the one before", async () => {
  const id = await serverThere()
  slowly(600_000)
  await live(id)
  await onItsWay(id)
  await c.act(id, { "os-resetState": { state: "active" } }, asAdmin())
  assert.equal((await live(id)).status, 202)
  slowly(0)
  await isOver(id)
  await eventually("its end", async () => (await c.show(id, asAdmin()))["OS-EXT-STS:task_state"] === null)
  const [{ status }, host] = [await newestMigration(id), await hostOf(id)]
  const held = await sql<{ host: string }>`select distinct h.name as host from placement.allocation a
    join compute.host h on h.id = a.provider_id
    where a.consumer_id = ${id}::uuid`.execute(c.cloud.database.db)
  const found = await powers(id)
  await remove(id)
  const away = host === ownHost ? otherHost : ownHost
  assert.deepEqual(
    [status, held.rows.map((row) => row.host), found],
    [host === otherHost ? "completed" : "error", [host], { [host]: "running", [away]: "none" }],
  )
})

test("a paused server whose host loses its power on the way does not stay in MIGRATING for ever", async () => {
  const id = await serverThere()
  await c.act(id, { pause: null })
  await c.reaches(id, "PAUSED")
  slowly(600_000)
  await live(id)
  await onItsWay(id)
  c.cloud.hypervisor.losePower([id])
  const [{ id: number }] = await migrationsOf(id)
  await c.call("DELETE", `/servers/${id}/migrations/${number}`, undefined, asAdmin())
  const states = await isOver(id)
  const { "OS-EXT-STS:task_state": taskState } = await c.show(id, asAdmin())
  await remove(id)
  assert.deepEqual([states, taskState], [["unwound"], null])
})

test("a guest that switches itself off on the way is not started again", async () => {
  const id = await serverThere()
  c.cloud.hypervisor.guestPowersOff(id)
  await c.reaches(id, "SHUTOFF")
  // What the migration says when it gives up.
  const { platform } = c.cloud.cloud
  const row = await selectServer(platform.db, id)
  const fence = { generation: row?.generation ?? 0, fence: 1_000, epoch: platform.epoch.number }
  await agents[ownHost]?.handle("vm.stay", { serverId: id, power: "running", fence })
  const found = await powers(id)
  await remove(id)
  assert.equal(found[ownHost], "shutdown")
})

test("a worker that is not the owner any more breaks no migration off", async () => {
  const id = await serverThere()
  slowly(600_000)
  await live(id)
  await onItsWay(id)
  const stale = { generation: 0, fence: 0 }
  // The one to which it goes answers them when the guest is there.
  const refused = Object.values(agents).flatMap((agent) => [
    assert.rejects(agent.handle("vm.stay", { serverId: id, power: "running", fence: stale })),
    assert.rejects(agent.handle("vm.destroy", { serverId: id, fence: stale })),
  ])
  await onItsWay(id)
  slowly(0)
  await Promise.all(refused)
  await isOver(id)
  const { status } = await newestMigration(id)
  await eventually("its end", async () => (await c.show(id, asAdmin()))["OS-EXT-STS:task_state"] === null)
  await remove(id)
  assert.equal(status === "cancelled" || status === "error", false, `the migration is ${status}`)
})

test("a host that is named is looked at as the scheduler does, unless it is forced", async () => {
  const id = await serverThere()
  const { platform } = c.cloud.cloud
  await closeOtherHost(platform)
  await live(id, { host: otherHost })
  await isOver(id)
  await eventually("its end", async () => (await c.show(id, asAdmin()))["OS-EXT-STS:task_state"] === null)
  const host = await hostOf(id)
  await remove(id)
  assert.equal(host, ownHost, "it went to a host that is disabled")
})

test("a group's rule holds for a host that is named", async () => {
  const body = { server_group: { name: `g-${newUuid()}`, policy: "anti-affinity" } }
  const made = await c.call("POST", "/os-server-groups", body)
  const hints = { "os:scheduler_hints": { group: made.body.server_group.id } }
  const { platform } = c.cloud.cloud
  await closeOtherHost(platform)
  const server = { name: "vm", imageRef: c.imageId, flavorRef: c.flavorId, networks: "auto" }
  const first = (await c.call("POST", "/servers", { server, ...hints })).body.server.id
  await c.reaches(first, "ACTIVE")
  await openOtherHost(platform)
  const second = (await c.call("POST", "/servers", { server, ...hints })).body.server.id
  await c.reaches(second, "ACTIVE")
  assert.equal(await hostOf(second), otherHost)
  await live(first, { host: otherHost })
  await isOver(first)
  await eventually("its end", async () => (await c.show(first, asAdmin()))["OS-EXT-STS:task_state"] === null)
  const host = await hostOf(first)
  await remove(first)
  await remove(second)
  assert.equal(host, ownHost)
})

test("migrations that are under way have links, as Nova's have from 2.23 on", async () => {
  const id = await serverThere()
  slowly(600_000)
  await live(id)
  await onItsWay(id)
  const { links, id: number } = await newestMigration(id)
  await c.call("DELETE", `/servers/${id}/migrations/${number}`, undefined, asAdmin())
  await isOver(id)
  await remove(id)
  assert.match(links?.[0]?.href ?? "none", new RegExp(`/servers/${id}/migrations/${number}$`))
})

test("who forces or aborts is among the actions, in Nova's words", async () => {
  const id = await serverThere()
  slowly(600_000)
  await live(id)
  await onItsWay(id)
  const [{ id: number }] = await migrationsOf(id)
  const before = await migrationsOf(id)
  assert.equal(before[0].status, "running")
  await c.call("DELETE", `/servers/${id}/migrations/${number}`, undefined, asAdmin())
  await isOver(id)
  const { body } = await c.call("GET", `/servers/${id}/os-instance-actions`, undefined, asAdmin())
  const names = body.instanceActions.map(({ action }: { action: string }) => action)
  await remove(id)
  assert.ok(names.includes("live_migration_cancel"), names.join(" "))
})

test("force_complete answers 400 for a migration that is not there", async () => {
  const id = await serverThere()
  slowly(600_000)
  await live(id)
  await onItsWay(id)
  const [{ id: number }] = await migrationsOf(id)
  const path = (n: number | string) => `/servers/${id}/migrations/${n}`
  const force = await c.call("POST", `${path(999_999)}/action`, { force_complete: null }, asAdmin())
  const cancel = await c.call("DELETE", path(999_999), undefined, asAdmin())
  await c.call("DELETE", path(number), undefined, asAdmin())
  await isOver(id)
  await remove(id)
  assert.deepEqual([force.status, cancel.status], [400, 404])
})

test("what the leaving could not remove, the reconciler of machines does", async () => {
  const id = await serverThere()
  c.cloud.hypervisor.setControl({ fail: { operation: "destroy", at: 1, times: 1 } })
  await live(id)
  await eventually("it to be there", async () => (await hostOf(id)) === otherHost)
  await c.reaches(id, "ACTIVE")
  await eventually("the leaving to be over", async () => {
    const { rows } = await sql<{ state: string }>`select state from engine.saga
      where resource_id = ${id} and name = 'compute.server.arrive'`.execute(c.cloud.database.db)
    return rows.length > 0 && rows.every(({ state }) => state !== "running" && state !== "unwinding")
  })
  await reconcileMachines(c.cloud.cloud.platform, new AbortController().signal)
  const found = await powers(id)
  await remove(id)
  assert.deepEqual(found, { [ownHost]: "none", [otherHost]: "running" })
})

test("after an arrival that failed the server can be migrated again, and nothing is left behind", async () => {
  const id = await serverThere()
  there.setControl({ fail: { operation: "setPower", at: 1, times: 1_000 } })
  await live(id)
  await eventually("ERROR", async () => (await c.show(id, asAdmin())).status === "ERROR")
  there.setControl({ fail: null })
  await c.act(id, { reboot: { type: "HARD" } }, asAdmin())
  await c.reaches(id, "ACTIVE")
  const held = await sql<{ consumer_id: string }>`select distinct consumer_id from placement.allocation
    where consumer_id::text like ${`${id.slice(0, 14)}%`}`.execute(c.cloud.database.db)
  await live(id)
  await isOver(id)
  await eventually("its end", async () => (await c.show(id, asAdmin()))["OS-EXT-STS:task_state"] === null)
  const migration = await newestMigration(id)
  await remove(id)
  assert.equal(held.rows.length, 1, "the room on the old host is kept")
  assert.equal(migration.status, "completed")
})
