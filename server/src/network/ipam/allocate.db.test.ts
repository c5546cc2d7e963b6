import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { sql } from "kysely"
import { openTestDatabase, type TestDatabase } from "../../../test/database.ts"
import { type Db, type Tx, transact, violatedConstraint } from "../../platform/db/database.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { noAddressLeft } from "../faults.ts"
import { insertPort } from "../port/insert.ts"
import { type Allocation, subnetsOfNetwork, takeAddress, takeFreeAddress } from "./allocate.ts"
import { takePortAddresses } from "./choose.ts"

const connections = 24

let database: TestDatabase
before(async () => {
  database = await openTestDatabase({ poolMax: connections })
})
after(async () => await database[Symbol.asyncDispose]())

let segment = 0

async function makeNetwork(db: Db): Promise<string> {
  const id = newUuid()
  segment += 1
  await sql`insert into network.network (id, project_id, mtu, provider_type, segmentation_id)
    values (${id}, 'p', 1442, 'geneve', ${segment})`.execute(db)
  return id
}

async function makeSubnet(
  db: Db | Tx,
  networkId: string,
  cidr: string,
  first: string,
  last: string,
): Promise<string> {
  const id = newUuid()
  await sql`insert into network.subnet (id, network_id, project_id, ip_version, cidr)
    values (${id}, ${networkId}, 'p', family(${cidr}::cidr), ${cidr}::cidr)`.execute(db)
  await sql`insert into network.allocation_pool values (${id}, ${first}, ${last})`.execute(db)
  return id
}

async function makePort(db: Db, networkId: string): Promise<string> {
  return await transact(
    db,
    async (tx) => (await insertPort(tx, { networkId, projectId: "p", fixedIps: [] })).id,
  )
}

async function take(tx: Tx, a: Omit<Allocation, "position">): Promise<string | null> {
  const subnet = (await subnetsOfNetwork(tx, a.networkId)).find((s) => s.id === a.subnetId)
  assert.ok(subnet)
  return await takeFreeAddress(tx, { ...a, position: 0 }, subnet.pools)
}

interface Together {
  results: PromiseSettledResult<string | null>[]
  /** So many held an address that they had not committed yet. */
  heldMost: number
}

/** As many at a time as there are connections. */
async function takeTogether(networkId: string, subnetId: string, count: number): Promise<Together> {
  const portId = await makePort(database.db, networkId)
  const results: PromiseSettledResult<string | null>[] = []
  let [begun, held, heldMost] = [0, 0, 0]
  const takeOne = () =>
    transact(database.db, async (tx) => {
      const address = await take(tx, { subnetId, networkId, portId })
      held += 1
      heldMost = Math.max(heldMost, held)
      // As long as a creation with its rows, its notifications and its commit.
      await sql`select pg_sleep(0.05)`.execute(tx)
      held -= 1
      return address
    })
  const work = async () => {
    while (begun++ < count) results.push(...(await Promise.allSettled([takeOne()])))
  }
  await Promise.all(Array.from({ length: connections }, work))
  return { results, heldMost }
}

test("who comes second does not wait for the first", async () => {
  const { db } = database
  const networkId = await makeNetwork(db)
  const subnetId = await makeSubnet(db, networkId, "10.0.0.0/29", "10.0.0.2", "10.0.0.3")
  const portId = await makePort(db, networkId)
  const held = Promise.withResolvers<void>()
  const taken = Promise.withResolvers<void>()
  const first = transact(db, async (tx) => {
    const address = await take(tx, { subnetId, networkId, portId })
    taken.resolve()
    await held.promise
    return address
  })
  await taken.promise
  const second = await transact(db, (tx) => take(tx, { subnetId, networkId, portId }))
  held.resolve()
  assert.deepEqual([await first, second].sort(), ["10.0.0.2", "10.0.0.3"])
})

for (const [cidr, first, last] of [
  ["10.4.0.0/24", "10.4.0.2", "10.4.0.254"],
  ["10.5.0.0/22", "10.5.0.2", "10.5.3.254"],
  ["2001:db8:5::/64", "2001:db8:5::2", "2001:db8:5:0:ffff:ffff:ffff:ffff"],
] as const) {
  test(`two hundred at once on ${cidr} all get an address of their own`, async () => {
    const networkId = await makeNetwork(database.db)
    const subnetId = await makeSubnet(database.db, networkId, cidr, first, last)
    const { results, heldMost } = await takeTogether(networkId, subnetId, 200)
    const addresses = results.map((r) => (r.status === "fulfilled" ? r.value : String(r.reason)))
    assert.ok(!addresses.includes(null))
    assert.equal(new Set(addresses).size, 200)
    // Nobody waits for who has one and goes on: else one at a time would hold one.
    assert.ok(heldMost > connections / 2, `${heldMost} held one at once`)
  })
}

test("many at once never share an address, and the pool ends", async () => {
  const { db } = database
  const networkId = await makeNetwork(db)
  const subnetId = await makeSubnet(db, networkId, "10.1.0.0/24", "10.1.0.2", "10.1.0.101")
  const { results } = await takeTogether(networkId, subnetId, 140)
  const got = results.flatMap((r) => (r.status === "fulfilled" && r.value !== null ? [r.value] : []))
  assert.equal(got.length, 100)
  assert.equal(new Set(got).size, 100)
  // The others are told that none is left, and that only after those who were there first have ended.
  assert.equal(results.filter((r) => r.status === "fulfilled" && r.value === null).length, 40)
})

test("the last address of a large subnet is found, and then there is none", async () => {
  const { db } = database
  const networkId = await makeNetwork(db)
  const subnetId = await makeSubnet(db, networkId, "10.6.0.0/20", "10.6.0.2", "10.6.15.254")
  const portId = await makePort(db, networkId)
  await sql`insert into network.ip_allocation (subnet_id, address, network_id, port_id)
    select ${subnetId}, '10.6.0.2'::inet + n, ${networkId}, ${portId}
    from generate_series(0, 4092) n where n <> 3210`.execute(db)
  const last = await transact(db, (tx) => take(tx, { subnetId, networkId, portId }))
  assert.equal(last, "10.6.12.140")
  const ask = { portId, networkId, macAddress: "fa:16:3e:00:00:01", deviceOwner: "" }
  await assert.rejects(
    transact(db, (tx) => takePortAddresses(tx, ask)),
    (error) => noAddressLeft.is(error),
  )
})

test("an address outside of the pools, within the subnet, is for who asks for it by name", async () => {
  const { db } = database
  const networkId = await makeNetwork(db)
  const subnetId = await makeSubnet(db, networkId, "10.2.0.0/24", "10.2.0.5", "10.2.0.7")
  const portId = await makePort(db, networkId)
  const spec = { subnetId, networkId, portId, position: 0 }
  await transact(db, async (tx) => {
    assert.equal(await takeAddress(tx, spec, "10.2.0.6"), true)
    assert.equal(await takeAddress(tx, spec, "10.2.0.6"), false)
    assert.equal(await takeAddress(tx, spec, "10.2.0.200"), true)
    const free = [await take(tx, spec), await take(tx, spec)]
    assert.deepEqual(free.sort(), ["10.2.0.5", "10.2.0.7"])
    assert.equal(await take(tx, spec), null)
  })
})

test("of two overlapping subnets made at once on a network one is refused", async () => {
  const { db } = database
  const networkId = await makeNetwork(db)
  const results = await Promise.allSettled([
    transact(db, (tx) => makeSubnet(tx, networkId, "10.3.0.0/24", "10.3.0.2", "10.3.0.9")),
    transact(db, (tx) => makeSubnet(tx, networkId, "10.3.0.128/25", "10.3.0.130", "10.3.0.140")),
  ])
  const refused = results.filter((result) => result.status === "rejected")
  assert.equal(refused.length, 1)
  assert.equal(violatedConstraint(refused[0]?.reason), "subnet_cidr_overlap")
  // On another network the same addresses are no matter.
  await makeSubnet(db, await makeNetwork(db), "10.3.0.0/24", "10.3.0.2", "10.3.0.9")
})
