import assert from "node:assert/strict"
import { test } from "node:test"
import { sql } from "kysely"
import { openTestDatabase } from "../../../test/database.ts"
import { type Db, transact } from "../../platform/db/database.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import {
  candidateHosts,
  claimAllocation,
  ensureHostProvider,
  getHeldAllocations,
  hostUsages,
  inventoryInUse,
  noCapacity,
  providerInUse,
  releaseAllocation,
  removeHostProvider,
  transferAllocation,
} from "../index.ts"

async function addHost(db: Db, name: string, vcpus: number, ramMib = 65_536): Promise<string> {
  const hostId = newUuid()
  await transact(db, (tx) =>
    ensureHostProvider(tx, {
      hostId,
      name,
      inventories: { VCPU: { total: vcpus }, MEMORY_MB: { total: ramMib }, DISK_GB: { total: 100 } },
      traits: ["COMPUTE_NODE", "CUSTOM_FAST"],
    }),
  )
  return hostId
}

const claimOf = (candidates: string[], resources: Record<string, number>, consumerId = newUuid()) => ({
  consumerId,
  projectId: "p",
  userId: "u",
  candidates,
  resources,
})

/** Every sum that is kept equals the sum of what is held. */
async function assertSums(db: Db): Promise<void> {
  const wrong = await sql`
    select i.provider_id, i.resource_class, i.used, coalesce(sum(a.used), 0) as held from placement.inventory i
    left join placement.allocation a using (provider_id, resource_class)
    group by 1, 2, 3 having i.used <> coalesce(sum(a.used), 0)`.execute(db)
  assert.deepEqual(wrong.rows, [])
}

test("a claim takes the first host with room, in the caller's order", async () => {
  await using database = await openTestDatabase()
  const { db } = database
  const [small, large] = [await addHost(db, "small", 1), await addHost(db, "large", 8)]
  const first = await transact(db, (tx) =>
    claimAllocation(tx, claimOf([small, large], { VCPU: 2, DISK_GB: 0 })),
  )
  assert.equal(first.hostId, large)
  const second = await transact(db, (tx) => claimAllocation(tx, claimOf([small, large], { VCPU: 1 })))
  assert.equal(second.hostId, small)
  const third = await transact(db, (tx) => claimAllocation(tx, claimOf([small, large], { VCPU: 1 })))
  assert.equal(third.hostId, large)
  await assertSums(db)
})

test("a claim for more than any host has is refused and leaves nothing", async () => {
  await using database = await openTestDatabase()
  const { db } = database
  const host = await addHost(db, "h", 4)
  const claim = claimOf([host], { VCPU: 5, MEMORY_MB: 1 })
  await assert.rejects(
    transact(db, (tx) => claimAllocation(tx, claim)),
    (e) => noCapacity.is(e),
  )
  assert.deepEqual(await getHeldAllocations(db, claim.consumerId), [])
  await assert.rejects(
    transact(db, (tx) => claimAllocation(tx, claimOf([host], { VGPU: 1 }))),
    (e) => noCapacity.is(e),
  )
  await assertSums(db)
})

test("two claims race for the last place: exactly one wins", async () => {
  await using database = await openTestDatabase()
  const { db } = database
  for (let round = 0; round < 20; round++) {
    const host = await addHost(db, `h${round}`, 1)
    const results = await Promise.allSettled(
      [1, 2].map(() => transact(db, (tx) => claimAllocation(tx, claimOf([host], { VCPU: 1, MEMORY_MB: 8 })))),
    )
    assert.equal(results.filter((r) => r.status === "fulfilled").length, 1)
    const lost = results.find((r) => r.status === "rejected")
    assert.ok(lost?.status === "rejected" && noCapacity.is(lost.reason))
  }
  await assertSums(db)
})

test("many claims with opposite preferences fill every host and none twice", async () => {
  await using database = await openTestDatabase()
  const { db } = database
  const hosts: string[] = []
  for (let i = 0; i < 4; i++) hosts.push(await addHost(db, `h${i}`, 5))
  const results = await Promise.allSettled(
    Array.from({ length: 24 }, (_, i) =>
      transact(db, (tx) =>
        claimAllocation(tx, claimOf(i % 2 === 0 ? hosts : hosts.toReversed(), { VCPU: 1 })),
      ),
    ),
  )
  assert.equal(results.filter((r) => r.status === "fulfilled").length, 20)
  for (const host of await hostUsages(db)) assert.equal(host.resources.VCPU?.free, 0)
  await assertSums(db)
})

test("the claim that was decided on old facts goes on to the next host", async () => {
  await using database = await openTestDatabase()
  const { db } = database
  const [one, two] = [await addHost(db, "one", 1), await addHost(db, "two", 1)]
  const results = await Promise.all(
    [1, 2].map(() => transact(db, (tx) => claimAllocation(tx, claimOf([one, two], { VCPU: 1 })))),
  )
  assert.deepEqual(results.map((r) => r.hostId).sort(), [one, two].sort())
})

test("a repeated claim holds once; another size replaces it", async () => {
  await using database = await openTestDatabase()
  const { db } = database
  const host = await addHost(db, "h", 4)
  const claim = claimOf([host], { VCPU: 3, MEMORY_MB: 512 })
  for (let i = 0; i < 2; i++) await transact(db, (tx) => claimAllocation(tx, claim))
  assert.deepEqual(await getHeldAllocations(db, claim.consumerId), [
    { hostId: host, resources: { VCPU: 3, MEMORY_MB: 512 } },
  ])
  // Fits only because what it holds now is given back first.
  await transact(db, (tx) => claimAllocation(tx, { ...claim, resources: { VCPU: 4 } }))
  assert.deepEqual(await getHeldAllocations(db, claim.consumerId), [{ hostId: host, resources: { VCPU: 4 } }])
  await assertSums(db)
})

test("a replacement that does not fit leaves the old claim", async () => {
  await using database = await openTestDatabase()
  const { db } = database
  const host = await addHost(db, "h", 4)
  const claim = claimOf([host], { VCPU: 2 })
  await transact(db, (tx) => claimAllocation(tx, claim))
  await assert.rejects(
    transact(db, (tx) => claimAllocation(tx, { ...claim, resources: { VCPU: 9 } })),
    (e) => noCapacity.is(e),
  )
  assert.deepEqual(await getHeldAllocations(db, claim.consumerId), [{ hostId: host, resources: { VCPU: 2 } }])
})

test("release is repeatable, also when two do it at once", async () => {
  await using database = await openTestDatabase()
  const { db } = database
  const host = await addHost(db, "h", 4)
  const claim = claimOf([host], { VCPU: 2 })
  await transact(db, (tx) => claimAllocation(tx, claim))
  const released = await Promise.all(
    [1, 2, 3].map(() => transact(db, (tx) => releaseAllocation(tx, claim.consumerId))),
  )
  assert.deepEqual(released.sort(), [false, false, true])
  assert.equal((await hostUsages(db))[0]?.resources.VCPU?.used, 0)
})

test("a transfer moves the claim whole", async () => {
  await using database = await openTestDatabase()
  const { db } = database
  const host = await addHost(db, "h", 4)
  const claim = claimOf([host], { VCPU: 2 })
  const migrationId = newUuid()
  await transact(db, (tx) => claimAllocation(tx, claim))
  const move = { fromConsumerId: claim.consumerId, toConsumerId: migrationId }
  for (let i = 0; i < 2; i++) await transact(db, (tx) => transferAllocation(tx, move))
  assert.deepEqual(await getHeldAllocations(db, claim.consumerId), [])
  assert.deepEqual(await getHeldAllocations(db, migrationId), [{ hostId: host, resources: { VCPU: 2 } }])
  await assertSums(db)
})

test("a host's provider follows what the host says", async () => {
  await using database = await openTestDatabase()
  const { db } = database
  const hostId = newUuid()
  const say = (inventories: Record<string, { total: number; allocationRatio?: number; reserved?: number }>) =>
    transact(db, (tx) => ensureHostProvider(tx, { hostId, name: "h", inventories, traits: ["COMPUTE_NODE"] }))
  assert.equal((await say({ VCPU: { total: 2, allocationRatio: 4 } })).isChanged, true)
  assert.equal((await say({ VCPU: { total: 2, allocationRatio: 4 } })).isChanged, false)
  assert.equal((await say({ VCPU: { total: 3, allocationRatio: 4, reserved: 1 } })).isChanged, true)
  assert.deepEqual(await candidateHosts(db, { resources: { VCPU: 3 }, requiredTraits: ["COMPUTE_NODE"] }), [
    {
      hostId,
      name: "h",
      traits: ["COMPUTE_NODE"],
      aggregateIds: [],
      resources: { VCPU: { total: 3, reserved: 1, allocationRatio: 4, used: 0, capacity: 8, free: 8 } },
    },
  ])
  assert.deepEqual(await candidateHosts(db, { resources: { VCPU: 4 } }), [], "max_unit is the total")
  assert.deepEqual(await candidateHosts(db, { resources: {}, forbiddenTraits: ["COMPUTE_NODE"] }), [])
  await transact(db, (tx) => claimAllocation(tx, claimOf([hostId], { VCPU: 1 })))
  await assert.rejects(say({ MEMORY_MB: { total: 1 } }), (e) => inventoryInUse.is(e))
  await assert.rejects(
    transact(db, (tx) => removeHostProvider(tx, hostId)),
    (e) => providerInUse.is(e),
  )
})

test("traits that an operator put on a host stay when the host reports", async () => {
  await using database = await openTestDatabase()
  const { db } = database
  const host = { hostId: newUuid(), name: "h", inventories: { VCPU: { total: 1 } } }
  const report = (traits: string[]) => transact(db, (tx) => ensureHostProvider(tx, { ...host, traits }))
  await report(["COMPUTE_NODE", "HW_CPU_X86_AVX"])
  await db
    .insertInto("placement.provider_trait")
    .values({ provider_id: host.hostId, trait: "CUSTOM_GOLD" })
    .execute()
  await report(["COMPUTE_NODE"])
  assert.deepEqual((await hostUsages(db))[0]?.traits, ["COMPUTE_NODE", "CUSTOM_GOLD"])
})

test("a host without claims can be removed, twice", async () => {
  await using database = await openTestDatabase()
  const { db } = database
  const hostId = await addHost(db, "h", 4)
  for (let i = 0; i < 2; i++) await transact(db, (tx) => removeHostProvider(tx, hostId))
  assert.deepEqual(await hostUsages(db), [])
})
