// Servers that go to another host while they are off, over HTTP: confirmed, reverted, deleted on the way, and by a
// resize that finds no room where they are.
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

const asAdmin = () => ({ token: c.admin })

/** On `host1`, as there is no other host for the moment. */
async function serverThere(): Promise<string> {
  const { platform } = c.cloud.cloud
  await closeOtherHost(platform)
  const id = await c.create()
  await c.reaches(id, "ACTIVE")
  await openOtherHost(platform)
  return id
}

const migrate = (id: string, body: unknown = null) => c.act(id, { migrate: body }, asAdmin())

async function hostOf(id: string): Promise<string> {
  return (await c.show(id, asAdmin()))["OS-EXT-SRV-ATTR:host"]
}

/** The power of its machine on each host; "none" where there is none. */
async function machinesOf(id: string): Promise<Record<string, string>> {
  const found = Object.entries(agents).map(async ([host, agent]) => {
    const machines = await agent.handle("vm.list", {})
    return [host, machines.find(({ serverId }) => serverId === id)?.state.power ?? "none"]
  })
  return Object.fromEntries(await Promise.all(found))
}

async function areMachines(id: string, wanted: Record<string, string>): Promise<void> {
  await eventually(`machines of ${id} to be ${JSON.stringify(wanted)}`, async () => {
    const found = await machinesOf(id)
    return Object.entries(wanted).every(([host, power]) => found[host] === power)
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

test("a server is moved and the move confirmed: machine, disks, ports and room are on the other host", async () => {
  const id = await serverThere()
  const { addresses } = await c.show(id)
  assert.equal((await migrate(id)).status, 202)
  await c.reaches(id, "VERIFY_RESIZE")
  assert.equal(await hostOf(id), otherHost)
  await areMachines(id, { [ownHost]: "shutdown", [otherHost]: "running" })
  assert.deepEqual(await portHosts(id), [otherHost])
  const { status, migration_type: type, source_compute: from, dest_compute: to } = await newestMigration(id)
  assert.deepEqual([status, type, from, to], ["finished", "migration", ownHost, otherHost])
  assert.equal((await c.act(id, { confirmResize: null })).status, 204)
  await c.reaches(id, "ACTIVE")
  await areMachines(id, { [ownHost]: "none", [otherHost]: "running" })
  assert.deepEqual((await c.show(id)).addresses, addresses)
  assert.equal((await newestMigration(id)).status, "confirmed")
  // And back again.
  assert.equal((await migrate(id, { host: ownHost })).status, 202)
  await c.reaches(id, "VERIFY_RESIZE")
  await c.act(id, { confirmResize: null })
  await areMachines(id, { [ownHost]: "running", [otherHost]: "none" })
  await c.call("DELETE", `/servers/${id}`)
  await c.isGone(id)
})

test("a move is reverted: the server is where it was, and nothing of it is left on the other host", async () => {
  const id = await serverThere()
  await migrate(id)
  await c.reaches(id, "VERIFY_RESIZE")
  assert.equal((await c.act(id, { revertResize: null })).status, 202)
  await c.reaches(id, "ACTIVE")
  assert.equal(await hostOf(id), ownHost)
  await areMachines(id, { [ownHost]: "running", [otherHost]: "none" })
  assert.deepEqual(await portHosts(id), [ownHost])
  assert.equal((await newestMigration(id)).status, "reverted")
  await c.call("DELETE", `/servers/${id}`)
  await c.isGone(id)
})

test("one that is off stays off, and a delete before the confirmation removes both machines", async () => {
  const id = await serverThere()
  await c.act(id, { "os-stop": null })
  await c.reaches(id, "SHUTOFF")
  await migrate(id)
  await c.reaches(id, "VERIFY_RESIZE")
  await areMachines(id, { [ownHost]: "shutdown", [otherHost]: "shutdown" })
  await c.call("DELETE", `/servers/${id}`)
  await c.isGone(id)
  await areMachines(id, { [ownHost]: "none", [otherHost]: "none" })
})

test("a resize for which its host has no room takes the server to one that has", async () => {
  const id = await serverThere()
  const big = { name: "big", id: "big", vcpus: 1, ram: 8_192, disk: 1 }
  assert.equal((await c.call("POST", "/flavors", { flavor: big }, asAdmin())).status, 200)
  assert.equal((await c.act(id, { resize: { flavorRef: "big" } })).status, 202)
  const { flavor } = await c.reaches(id, "VERIFY_RESIZE")
  assert.equal(flavor.original_name, "big")
  assert.equal(await hostOf(id), otherHost)
  assert.equal((await newestMigration(id)).migration_type, "resize")
  await c.act(id, { revertResize: null })
  const back = await c.reaches(id, "ACTIVE")
  assert.deepEqual([back.flavor.ram, await hostOf(id)], [128, ownHost])
  await c.call("DELETE", `/servers/${id}`)
  await c.isGone(id)
})

test("a move is refused with its reason, and one that fails leaves the server where it was", async () => {
  const id = await serverThere()
  for (const [host, pattern] of [
    [ownHost, /Cannot migrate to the host where the server exists/],
    ["nowhere", /Compute host nowhere could not be found/],
  ] as const) {
    const { status, body } = await migrate(id, { host })
    assert.equal(status, 400)
    assert.match(body.badRequest.message, pattern)
  }
  assert.equal((await c.act(id, { migrate: null })).status, 403, "for administrators")
  const paused = await serverThere()
  await c.act(paused, { pause: null })
  await c.reaches(paused, "PAUSED")
  assert.equal((await migrate(paused)).status, 409)
  c.cloud.hypervisor.setControl({ fail: { operation: "snapshot", at: 1, times: 1_000 } })
  assert.equal((await migrate(id)).status, 202)
  await eventually("the move to fail", async () => (await newestMigration(id))?.status === "error")
  c.cloud.hypervisor.setControl({ fail: null })
  await c.reaches(id, "ACTIVE")
  assert.equal(await hostOf(id), ownHost)
  await areMachines(id, { [ownHost]: "running", [otherHost]: "none" })
  assert.deepEqual(await portHosts(id), [ownHost])
})

test("a revert that fails leaves the server on the host where its disks are, and one machine of it", async () => {
  const id = await serverThere()
  await migrate(id)
  await c.reaches(id, "VERIFY_RESIZE")
  c.cloud.hypervisor.setControl({ fail: { operation: "ensure", at: 1, times: 1_000 } })
  assert.equal((await c.act(id, { revertResize: null })).status, 202)
  await c.reaches(id, "ERROR")
  c.cloud.hypervisor.setControl({ fail: null })
  assert.equal(await hostOf(id), ownHost)
  await areMachines(id, { [otherHost]: "none" })
  assert.equal((await c.act(id, { reboot: { type: "HARD" } }, asAdmin())).status, 202)
  await c.reaches(id, "ACTIVE")
  await areMachines(id, { [ownHost]: "running", [otherHost]: "none" })
  await c.call("DELETE", `/servers/${id}`)
  await c.isGone(id)
})

test("a delete in the middle of a move leaves nothing on either host", async () => {
  const id = await serverThere()
  const { hypervisor } = await openOtherHost(c.cloud.cloud.platform)
  hypervisor.setControl({ delayMs: 600_000 })
  await migrate(id)
  await eventually(
    "the other host to be chosen",
    async () => (await newestMigration(id)).dest_compute === otherHost,
  )
  await c.call("DELETE", `/servers/${id}`)
  hypervisor.setControl({ delayMs: 0 })
  await c.isGone(id)
  await areMachines(id, { [ownHost]: "none", [otherHost]: "none" })
  assert.equal((await newestMigration(id)).status, "error")
})
