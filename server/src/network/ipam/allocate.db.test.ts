import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { sql } from "kysely"
import { openTestDatabase, type TestDatabase } from "../../../test/database.ts"
import { type Db, type Tx, transact, violatedConstraint } from "../../platform/db/database.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { insertPort } from "../port/insert.ts"
import { takeAddress, takeLowestAddress } from "./allocate.ts"

let database: TestDatabase
before(async () => {
  database = await openTestDatabase({ poolMax: 24 })
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
    values (${id}, ${networkId}, 'p', 4, ${cidr}::cidr)`.execute(db)
  await sql`insert into network.allocation_pool values (${id}, ${first}, ${last})`.execute(db)
  return id
}

async function makePort(db: Db, networkId: string): Promise<string> {
  return await transact(
    db,
    async (tx) => (await insertPort(tx, { networkId, projectId: "p", fixedIps: [] })).id,
  )
}

test("who comes second waits for the first and gets the next address", async () => {
  const { db } = database
  const networkId = await makeNetwork(db)
  const subnetId = await makeSubnet(db, networkId, "10.0.0.0/29", "10.0.0.2", "10.0.0.6")
  const [a, b] = [await makePort(db, networkId), await makePort(db, networkId)]
  const held = Promise.withResolvers<void>()
  const taken = Promise.withResolvers<void>()
  const first = transact(db, async (tx) => {
    const address = await takeLowestAddress(tx, { subnetId, networkId, portId: a, position: 0 })
    taken.resolve()
    await held.promise
    return address
  })
  await taken.promise
  const second = transact(db, (tx) => takeLowestAddress(tx, { subnetId, networkId, portId: b, position: 0 }))
  held.resolve()
  assert.deepEqual(await Promise.all([first, second]), ["10.0.0.2", "10.0.0.3"])
})

test("many at once never share an address, and the pool ends", async () => {
  const { db } = database
  const networkId = await makeNetwork(db)
  const subnetId = await makeSubnet(db, networkId, "10.1.0.0/24", "10.1.0.2", "10.1.0.11")
  const ports = await Promise.all(Array.from({ length: 20 }, () => makePort(db, networkId)))
  const addresses = await Promise.all(
    ports.map((portId) =>
      transact(db, (tx) => takeLowestAddress(tx, { subnetId, networkId, portId, position: 0 })),
    ),
  )
  const got = addresses.filter((address) => address !== null)
  assert.equal(new Set(got).size, 10)
  assert.equal(addresses.filter((address) => address === null).length, 10)
})

test("a gap is filled first, and an address in use is refused", async () => {
  const { db } = database
  const networkId = await makeNetwork(db)
  const subnetId = await makeSubnet(db, networkId, "10.2.0.0/24", "10.2.0.5", "10.2.0.9")
  const portId = await makePort(db, networkId)
  const spec = { subnetId, networkId, portId, position: 0 }
  await transact(db, async (tx) => {
    for (const expected of ["10.2.0.5", "10.2.0.6", "10.2.0.7"])
      assert.equal(await takeLowestAddress(tx, spec), expected)
    await sql`delete from network.ip_allocation where address = '10.2.0.6' and subnet_id = ${subnetId}`.execute(
      tx,
    )
    assert.equal(await takeLowestAddress(tx, spec), "10.2.0.6")
    assert.equal(await takeAddress(tx, spec, "10.2.0.7"), false)
    // Outside the pool, within the subnet: only for who asks for it by name.
    assert.equal(await takeAddress(tx, spec, "10.2.0.200"), true)
    assert.equal(await takeLowestAddress(tx, spec), "10.2.0.8")
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
