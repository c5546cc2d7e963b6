// Servers that go to another host while they run, over HTTP.
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { sql } from "kysely"
import type { Agent } from "../src/agent/agent.ts"
import { eventually } from "../src/platform/clock/clock.ts"
import { closeOtherHost, openOtherHost, otherHost } from "./other-host.ts"
import { type ServerCloud, startServerCloud } from "./server-cloud.ts"

let c: ServerCloud
let agents: Record<string, Agent>
const ownHost = "host1"

before(async () => {
  c = await startServerCloud({ capacity: { vcpus: 64, ramMib: 4_096, diskGib: 1_000 } })
  const { agent } = await openOtherHost(c.cloud.cloud.platform)
  agents = { [ownHost]: c.cloud.cloud.agent.agent, [otherHost]: agent }
})
after(() => c[Symbol.asyncDispose]())

const asAdmin = (version = "2.90") => ({ token: c.admin, version })

/** On `host1`, as there is no other host for the moment. */
async function serverThere(): Promise<string> {
  const { platform } = c.cloud.cloud
  await closeOtherHost(platform)
  const id = await c.create()
  await c.reaches(id, "ACTIVE")
  await openOtherHost(platform)
  return id
}

const live = (id: string, more: object = {}) =>
  c.act(id, { "os-migrateLive": { host: null, block_migration: "auto", ...more } }, asAdmin())

async function hostOf(id: string): Promise<string> {
  return (await c.show(id, asAdmin()))["OS-EXT-SRV-ATTR:host"]
}

/** The power of its machine on each host; "none" where there is none. */
async function areMachines(id: string, wanted: Record<string, string>): Promise<void> {
  await eventually(`machines of ${id} to be ${JSON.stringify(wanted)}`, async () => {
    const found = await Promise.all(
      Object.keys(wanted).map(async (host) => {
        const machines = await agents[host]?.handle("vm.list", {})
        return machines?.find(({ serverId }) => serverId === id)?.state.power ?? "none"
      }),
    )
    return Object.values(wanted).every((power, index) => found[index] === power)
  })
}

async function portHosts(id: string): Promise<string[]> {
  const { rows } = await sql<{ host: string }>`
    select host_id as host from network.port where device_id = ${id}`.execute(c.cloud.database.db)
  return rows.map(({ host }) => host)
}

async function newestMigration(id: string) {
  const { body } = await c.call("GET", `/os-migrations?instance_uuid=${id}`, undefined, asAdmin())
  return body.migrations[0]
}

const migrationsOf = async (id: string) =>
  (await c.call("GET", `/servers/${id}/migrations`, undefined, asAdmin())).body.migrations

const slowly = (copyMs: number) => c.cloud.hypervisor.setControl({ copyMs })

test("a server that runs goes to another host and back; room, ports and its machine are there alone", async () => {
  const id = await serverThere()
  const { addresses } = await c.show(id)
  const log = async () => (await c.act(id, { "os-getConsoleOutput": {} })).body.output
  const booted = await log()
  assert.equal((await live(id)).status, 202)
  await eventually("it to be there", async () => (await hostOf(id)) === otherHost)
  const { status } = await c.reaches(id, "ACTIVE")
  assert.equal(status, "ACTIVE")
  await areMachines(id, { [ownHost]: "none", [otherHost]: "running" })
  assert.deepEqual(await portHosts(id), [otherHost])
  assert.deepEqual((await c.show(id)).addresses, addresses)
  assert.equal(await log(), booted, "it did not boot again")
  const migration = await newestMigration(id)
  assert.deepEqual(
    [migration.status, migration.migration_type, migration.source_compute, migration.dest_compute],
    ["completed", "live-migration", ownHost, otherHost],
  )
  assert.deepEqual(await migrationsOf(id), [])
  assert.equal((await live(id, { host: ownHost })).status, 202)
  await areMachines(id, { [ownHost]: "running", [otherHost]: "none" })
  await c.reaches(id, "ACTIVE")
  const { body } = await c.call("GET", `/servers/${id}/os-instance-actions`, undefined, asAdmin())
  assert.equal(body.instanceActions[0].action, "live-migration")
  await c.call("DELETE", `/servers/${id}`)
  await c.isGone(id)
})

test("one that is paused stays so", async () => {
  const id = await serverThere()
  await c.act(id, { pause: null })
  await c.reaches(id, "PAUSED")
  assert.equal((await live(id)).status, 202)
  await eventually("it to be there", async () => (await hostOf(id)) === otherHost)
  await c.reaches(id, "PAUSED")
  await areMachines(id, { [ownHost]: "none", [otherHost]: "paused" })
  await c.act(id, { unpause: null })
  await c.reaches(id, "ACTIVE")
  await c.call("DELETE", `/servers/${id}`)
  await c.isGone(id)
})

test("it is seen on its way, and is aborted: then it is where it was", async () => {
  const id = await serverThere()
  slowly(600_000)
  await live(id)
  assert.equal((await c.show(id)).status, "MIGRATING")
  await eventually("its memory to be on the way", async () => {
    const [one] = await migrationsOf(id)
    return one?.status === "running" && one.memory_total_bytes > 0
  })
  const [{ id: number }] = await migrationsOf(id)
  const path = `/servers/${id}/migrations/${number}`
  assert.match((await newestMigration(id)).links[0].href, new RegExp(`${path}$`))
  const shown = (await c.call("GET", path, undefined, asAdmin())).body.migration
  assert.deepEqual([shown.source_compute, shown.dest_compute, shown.server_uuid], [ownHost, otherHost, id])
  assert.equal((await c.call("DELETE", `/servers/${id}/migrations/999999`, undefined, asAdmin())).status, 404)
  assert.equal(
    (await c.call("DELETE", path, undefined, { version: "2.90" })).status,
    403,
    "for administrators",
  )
  assert.equal((await c.call("DELETE", path, undefined, asAdmin())).status, 202)
  await c.reaches(id, "ACTIVE")
  assert.equal((await newestMigration(id)).status, "cancelled")
  assert.equal(await hostOf(id), ownHost)
  await areMachines(id, { [ownHost]: "running", [otherHost]: "none" })
  assert.equal((await c.call("DELETE", path, undefined, asAdmin())).status, 409)
  slowly(0)
  await c.call("DELETE", `/servers/${id}`)
  await c.isGone(id)
})

test("it is forced to its end", async () => {
  const id = await serverThere()
  slowly(600_000)
  await live(id)
  await eventually(
    "its memory to be on the way",
    async () => (await migrationsOf(id))[0]?.memory_total_bytes > 0,
  )
  const [{ id: number }] = await migrationsOf(id)
  const path = `/servers/${id}/migrations/${number}/action`
  assert.equal((await c.call("POST", path, { force_complete: null }, asAdmin())).status, 202)
  await areMachines(id, { [ownHost]: "none", [otherHost]: "running" })
  slowly(0)
  await c.reaches(id, "ACTIVE")
  await c.call("DELETE", `/servers/${id}`)
  await c.isGone(id)
})

test("a delete on the way leaves nothing on either host", async () => {
  const id = await serverThere()
  slowly(600_000)
  await live(id)
  await eventually(
    "its memory to be on the way",
    async () => (await migrationsOf(id))[0]?.memory_total_bytes > 0,
  )
  await c.call("DELETE", `/servers/${id}`)
  await c.isGone(id)
  await areMachines(id, { [ownHost]: "none", [otherHost]: "none" })
  slowly(0)
  assert.equal((await newestMigration(id)).status, "error")
})

test("what fails on the way leaves the server where it was, with the reason for whoever looks", async () => {
  const id = await serverThere()
  const { hypervisor } = await openOtherHost(c.cloud.cloud.platform)
  hypervisor.setControl({ fail: { operation: "receiveLive", at: 1, times: 1_000 } })
  await live(id)
  await eventually("it to fail", async () => (await newestMigration(id))?.status === "error")
  hypervisor.setControl({ fail: null })
  await c.reaches(id, "ACTIVE")
  assert.equal(await hostOf(id), ownHost)
  await areMachines(id, { [ownHost]: "running", [otherHost]: "none" })
  assert.deepEqual(await portHosts(id), [ownHost])
  await c.call("DELETE", `/servers/${id}`)
  await c.isGone(id)
})

test("it is refused with its reason", async () => {
  const id = await serverThere()
  for (const [more, status, pattern] of [
    [{ host: ownHost }, 400, /to current host/],
    [{ host: "nowhere" }, 400, /Compute host nowhere could not be found/],
    [{ block_migration: false }, 400, /not on shared storage/],
  ] as const) {
    const { status: got, body } = await live(id, more)
    assert.equal(got, status)
    assert.match(body.badRequest.message, pattern)
  }
  assert.equal(
    (await c.act(id, { "os-migrateLive": { host: null, block_migration: "auto" } }, { version: "2.90" }))
      .status,
    403,
  )
  await c.act(id, { "os-stop": null })
  await c.reaches(id, "SHUTOFF")
  assert.equal((await live(id)).status, 409)
  await c.call("DELETE", `/servers/${id}`)
  await c.isGone(id)
})
