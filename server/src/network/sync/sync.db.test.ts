// The engine is told of ports alone where that is all, and of everything where it is not.
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { sql } from "kysely"
import { openTestDatabase, type TestDatabase } from "../../../test/database.ts"
import { systemClock } from "../../platform/clock/clock.ts"
import { transact } from "../../platform/db/database.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { silentLogger } from "../../platform/log/log.ts"
import { FakeNetworkDriver } from "../driver/fake/fake-driver.ts"
import type { NetworkWant, PortsChange } from "../driver/network-driver.ts"
import { insertPort, type NewPort } from "../port/insert.ts"
import { syncOf } from "./sync.ts"
import { buildWant } from "./want.ts"

/** Notes which way it was told. */
class NotingDriver extends FakeNetworkDriver {
  told: string[] = []

  override async reconcile(want: NetworkWant) {
    this.told.push("all")
    return await super.reconcile(want)
  }

  override async changePorts(change: PortsChange) {
    this.told.push("ports")
    return await super.changePorts(change)
  }
}

let database: TestDatabase
let networkId = ""
before(async () => {
  database = await openTestDatabase()
  networkId = await makeNetwork(1)
})
after(async () => await database[Symbol.asyncDispose]())

async function makeNetwork(segment: number): Promise<string> {
  const id = newUuid()
  await sql`insert into network.network (id, project_id, mtu, provider_type, segmentation_id)
    values (${id}, 'p', 1442, 'geneve', ${segment})`.execute(database.db)
  return id
}

async function makePort(more: Partial<NewPort> = {}): Promise<string> {
  const port = { networkId, projectId: "p", deviceOwner: "compute:nova", fixedIps: [], ...more }
  return await transact(database.db, async (tx) => (await insertPort(tx, port)).id)
}

function start() {
  const network = new NotingDriver()
  const config = { network: { dnsDomain: "example.org." } }
  const parts = { db: database.db, clock: systemClock, log: silentLogger, config, drivers: { network } }
  const sync = syncOf(parts)
  const settle = async (...ports: string[]) => {
    if (ports.length > 0) sync.poke({ ports })
    await sync.settle()
    const want = await buildWant(database.db, config.network)
    assert.deepEqual(await network.reconcile(want), { created: 0, updated: 0, removed: 0 }, "all is told")
    // The one before was this look's.
    const told = network.told.slice(0, -1)
    network.told = []
    return told
  }
  return { network, sync, settle }
}

test("the first run tells everything; after it ports are told alone, made, changed and gone", async () => {
  const { settle } = start()
  assert.deepEqual(await settle(), ["all"])
  assert.deepEqual(await settle(), [])
  const [a, b] = [await makePort({ dnsName: "a" }), await makePort()]
  assert.deepEqual(await settle(a, b), ["ports"])
  await sql`update network.port set name = 'new', host_id = 'h' where id = ${a}`.execute(database.db)
  await sql`delete from network.port where id = ${b}`.execute(database.db)
  assert.deepEqual(await settle(a, b), ["ports"])
})

test("a port on a network or in a group that the engine may not know leads to a whole run", async () => {
  const { settle } = start()
  await settle()
  assert.deepEqual(await settle(await makePort({ networkId: await makeNetwork(2) })), ["all"])
  const groupId = newUuid()
  await sql`insert into network.security_group (id, project_id, name) values (${groupId}, 'p', 'g')`.execute(
    database.db,
  )
  assert.deepEqual(await settle(await makePort({ securityGroups: [groupId] })), ["all"])
  assert.deepEqual(await settle(await makePort({ securityGroups: [groupId] })), ["ports"])
})

test("ports of routers, and names that two ports have, lead to a whole run", async () => {
  const { settle } = start()
  const [first, second] = [await makePort({ dnsName: "Same" }), await makePort({ dnsName: "same" })]
  await settle()
  assert.deepEqual(await settle(await makePort({ deviceOwner: "network:router_interface" })), ["all"])
  await sql`delete from network.port where id = ${second}`.execute(database.db)
  assert.deepEqual(await settle(second), ["all"])
  await sql`delete from network.port where id = ${first}`.execute(database.db)
  assert.deepEqual(await settle(first), ["ports"])
})

test("what else is poked for meanwhile is not lost, nor is what failed", async () => {
  const { network, sync, settle } = start()
  await settle()
  const [port, other] = [await makePort(), await makePort()]
  await makeNetwork(3)
  network.slowDown(20)
  // One after the other without a pause: the second and the third come while the first runs.
  sync.poke({ ports: [port] })
  sync.poke()
  sync.poke({ ports: [other] })
  assert.deepEqual(await settle(), ["ports", "all"])
  network.failNext(1)
  sync.poke({ ports: [await makePort()] })
  await assert.rejects(sync.settle(), /told to fail/)
  assert.deepEqual(await settle(), ["ports", "all"])
})

test("who waits joins the run that began after the last change", async () => {
  const { network, sync, settle } = start()
  await settle()
  network.slowDown(20)
  sync.poke({ ports: [await makePort()] })
  await Promise.all([sync.settle(), sync.settle()])
  assert.deepEqual(network.told, ["ports"])
})
