// The engine is told of what changed, and of what changes with it; the rest it is told page by page.
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { sql } from "kysely"
import { openTestDatabase, type TestDatabase } from "../../../test/database.ts"
import { systemClock } from "../../platform/clock/clock.ts"
import { type Tx, transact } from "../../platform/db/database.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { silentLogger } from "../../platform/log/log.ts"
import { FakeNetworkDriver } from "../driver/fake/fake-driver.ts"
import type { NetworkChange, Told } from "../driver/network-driver.ts"
import { nouns } from "../driver/want.ts"
import { insertPort, type NewPort } from "../port/insert.ts"
import { changedIn } from "./changes.ts"
import { closeSync, syncOf } from "./sync.ts"

const unchanged = { created: 0, updated: 0, removed: 0 }

/** Notes what it was told, and refuses what it is told to. */
class NotingDriver extends FakeNetworkDriver {
  told: string[][] = []
  refused = ""

  override async change(read: (also: Partial<Told>) => Promise<NetworkChange>) {
    return await super.change(async (also) => {
      const change = await read(also)
      if (change.told.ports.includes(this.refused)) throw new Error("the engine does not like this port")
      this.told.push(nouns.flatMap((noun) => change.told[noun].map((id) => `${noun} ${id}`)))
      return change
    })
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

async function makeSubnet(of: string, cidr: string): Promise<string> {
  const id = newUuid()
  await sql`insert into network.subnet (id, network_id, project_id, ip_version, cidr)
    values (${id}, ${of}, 'p', 4, ${cidr})`.execute(database.db)
  return id
}

async function makePort(more: Partial<NewPort> = {}): Promise<string> {
  const port = { networkId, projectId: "p", deviceOwner: "compute:nova", fixedIps: [], ...more }
  return await transact(database.db, async (tx) => (await insertPort(tx, port)).id)
}

function start({ enableDistributedFloatingIp = false } = {}) {
  const network = new NotingDriver()
  const config = { network: { dnsDomain: "example.org.", enableDistributedFloatingIp } }
  const parts = { db: database.db, clock: systemClock, log: silentLogger, config, drivers: { network } }
  const sync = syncOf(parts)
  const takeTold = () => network.told.splice(0)
  /** That nothing differs when all is told anew. */
  const isEqual = async () => {
    assert.deepEqual(await sync.compare(), unchanged)
    takeTold()
  }
  return { network, sync, takeTold, isEqual, close: () => closeSync(parts) }
}

test("ports are told alone: made, changed and gone", async () => {
  const { sync, takeTold, isEqual, close } = start()
  await sync.compare()
  takeTold()
  const [a, b] = [await makePort({ dnsName: "a" }), await makePort()]
  sync.poke({ ports: [a, b] })
  await sync.settle({ ports: [a, b] })
  assert.deepEqual(takeTold(), [[`ports ${a}`, `ports ${b}`]])
  await isEqual()
  await sql`update network.port set name = 'new', host_id = 'h' where id = ${a}`.execute(database.db)
  await sql`delete from network.port where id = ${b}`.execute(database.db)
  sync.poke({ ports: [a, b] })
  await sync.settle()
  await isEqual()
  await close()
})

test("a distributed floating IP is where its port is, if that host reaches its network", async () => {
  const { network, sync, takeTold, isEqual, close } = start({ enableDistributedFloatingIp: true })
  const [external, routerId, id] = [newUuid(), newUuid(), newUuid()]
  await sql`insert into network.network (id, project_id, is_external, provider_type, physical_network, mtu)
    values (${external}, 'p', true, 'flat', 'public', 1500)`.execute(database.db)
  await sql`insert into network.router (id, project_id) values (${routerId}, 'p')`.execute(database.db)
  for (const [host, mappings] of [
    ["near", '{"public": "br-ex"}'],
    ["far", "{}"],
  ] as const)
    await sql`insert into network.agent (id, host, binary_name, bridge_mappings)
      values (gen_random_uuid(), ${host}, 'ovn-controller', ${mappings}::jsonb)`.execute(database.db)
  const fixed = await makePort()
  const own = await makePort({ networkId: external, deviceId: id, deviceOwner: "network:floatingip" })
  await sql`insert into network.floating_ip
      (id, project_id, floating_network_id, floating_port_id, address, fixed_port_id, fixed_ip_address, router_id)
    values (${id}, 'p', ${external}, ${own}, '172.24.4.9', ${fixed}, '10.0.0.9', ${routerId})`.execute(
    database.db,
  )
  await sync.compare()
  takeTold()
  const isDistributed = () => network.want.floatingIps.find((each) => each.id === id)?.isDistributed
  assert.equal(isDistributed(), false, "its port is nowhere")
  for (const [host, expected] of [
    ["near", true],
    ["far", false],
    ["of an earlier program", false],
  ] as const) {
    await sql`update network.port set host_id = ${host} where id = ${fixed}`.execute(database.db)
    sync.poke({ ports: [fixed] })
    await sync.settle()
    assert.deepEqual(takeTold(), [[`ports ${fixed}`, `floatingIps ${id}`]], host)
    assert.equal(isDistributed(), expected, host)
  }
  await isEqual()
  await sql`delete from network.floating_ip where id = ${id}`.execute(database.db)
  await close()
})

test("what changes with it is told too: the router of a port, the groups of an address group", async () => {
  const { sync, takeTold, isEqual, close } = start()
  const [routerId, groupId, addressGroupId] = [newUuid(), newUuid(), newUuid()]
  const subnetId = await makeSubnet(networkId, "10.1.0.0/24")
  await sql`insert into network.router (id, project_id) values (${routerId}, 'p')`.execute(database.db)
  await sql`insert into network.security_group (id, project_id) values (${groupId}, 'p')`.execute(database.db)
  await sql`insert into network.address_group (id, project_id, addresses)
    values (${addressGroupId}, 'p', '{192.0.2.0/24}')`.execute(database.db)
  await sql`insert into network.security_group_rule
      (id, security_group_id, project_id, direction, ethertype, remote_address_group_id)
    values (gen_random_uuid(), ${groupId}, 'p', 'ingress', 'IPv4', ${addressGroupId})`.execute(database.db)
  await sync.compare()
  takeTold()
  const fixedIps = [{ subnetId, ipAddress: "10.1.0.1" }]
  const port = await makePort({ deviceId: routerId, deviceOwner: "network:router_interface", fixedIps })
  sync.poke({ ports: [port] })
  await sync.settle()
  assert.deepEqual(takeTold(), [[`ports ${port}`, `routers ${routerId}`]])
  await isEqual()
  await sql`update network.address_group set addresses = '{192.0.2.0/24,198.51.100.0/24}'`.execute(
    database.db,
  )
  sync.poke({ addressGroups: [addressGroupId] })
  await sync.settle()
  assert.deepEqual(takeTold(), [[`securityGroups ${groupId}`]])
  await isEqual()
  await close()
})

test("of two ports with one name one answers; an address that a port allows itself is virtual", async () => {
  const { network, sync, isEqual, close } = start()
  const subnetId = await makeSubnet(networkId, "10.2.0.0/24")
  const at = (ipAddress: string) => ({ fixedIps: [{ subnetId, ipAddress }] })
  const [first, second] = [
    await makePort({ dnsName: "Same", ...at("10.2.0.5") }),
    await makePort({ dnsName: "same", ...at("10.2.0.6") }),
  ]
  const vip = await makePort({ deviceOwner: "", ...at("10.2.0.7") })
  await sync.compare()
  const port = (id: string) => network.want.ports.find((each) => each.id === id)
  assert.deepEqual([first, second].map((id) => port(id)?.holdsName).sort(), [false, true])
  assert.equal(port(vip)?.virtual, null)
  const pairs = [{ ipAddress: "10.2.0.7", macAddress: "fa:16:3e:00:00:01" }]
  const guest = await makePort({ ...at("10.2.0.8"), allowedAddressPairs: pairs })
  sync.poke({ ports: [guest] })
  await sync.settle()
  assert.deepEqual(port(vip)?.virtual, { ipAddress: "10.2.0.7", parentIds: [guest] })
  await isEqual()
  await close()
})

test("who waits for a port does not wait for what else there is", async () => {
  const { network, sync, takeTold, close } = start()
  await sync.compare()
  takeTold()
  const groups = Array.from({ length: 400 }, newUuid)
  await sql`insert into network.security_group (id, project_id)
    select unnest(${groups}::uuid[]), 'other'`.execute(database.db)
  network.slowDown(5)
  const port = await makePort()
  sync.poke({ securityGroups: groups })
  sync.poke({ ports: [port] })
  await sync.settle({ ports: [port] })
  // At the most the run that had begun, and the port's own.
  const before = takeTold()
  assert.ok(before.length <= 2)
  await sync.settle()
  assert.equal(new Set([...before, ...takeTold()].flat()).size, 401)
  await close()
})

test("what failed is told again, with everything; what is refused does not hold up the rest", async () => {
  const { network, sync, isEqual, close } = start()
  await sync.compare()
  network.failNext(1)
  const port = await makePort()
  sync.poke({ ports: [port] })
  await assert.rejects(sync.settle({ ports: [port] }), /told to fail/)
  await sync.settle()
  await isEqual()
  const [bad, good] = [await makePort(), await makePort()]
  network.refused = bad
  sync.poke({ ports: [bad, good] })
  await sync.settle({ ports: [good] })
  await assert.rejects(sync.compare(), /does not like/)
  network.refused = ""
  assert.deepEqual(await sync.compare(), { created: 1, updated: 0, removed: 0 })
  await close()
})

test("what changes again while it is told is told again", async () => {
  const { network, sync, isEqual, close } = start()
  await sync.compare()
  const port = await makePort()
  network.slowDown(20)
  sync.poke({ ports: [port] })
  await sql`update network.port set name = 'later' where id = ${port}`.execute(database.db)
  sync.poke({ ports: [port] })
  await Promise.all([sync.settle({ ports: [port] }), sync.settle({ ports: [port] })])
  assert.equal(network.want.ports.find((each) => each.id === port)?.name, "later")
  network.slowDown(0)
  await isEqual()
  await close()
})

test("what is noted in a transaction is told once, and what was rolled back never", async () => {
  const noted: unknown[] = []
  const write = async (tx: Tx) => {
    await insertPort(tx, { networkId, projectId: "p", fixedIps: [] })
    noted.push(changedIn(tx))
  }
  await transact(database.db, write)
  await transact(database.db, write)
  assert.deepEqual(
    noted.map((changed) => Object.keys(changed as object)),
    [["ports"], ["ports"]],
  )
})
