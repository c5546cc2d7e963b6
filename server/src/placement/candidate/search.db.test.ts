import assert from "node:assert/strict"
import { test } from "node:test"
import { sql } from "kysely"
import { statementsOf } from "../../../test/count-statements.ts"
import { openTestDatabase } from "../../../test/database.ts"
import { costOf } from "../../../test/noun-lists/cost.ts"
import { insertHosts } from "../../compute/testing/hosts.ts"
import { type Db, transact } from "../../platform/db/database.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { ensureHostProvider } from "../index.ts"
import { findCandidates, rootsFor } from "./search.ts"
import { type Question, solve } from "./solve.ts"
import { readWorld, worldQuery } from "./world.ts"

function question(
  resources: Record<string, number>,
  limit: number | null,
  inTreeOf: string | null = null,
): Question {
  const group = { suffix: "", requiredTraits: [], forbiddenTraits: [], memberOf: [], notMemberOf: [] }
  return {
    groups: [{ ...group, resources, inTreeOf }],
    ...{ isIsolated: false, rootRequired: [], rootForbidden: [], sameSubtrees: [], knowsTrees: true, limit },
  }
}

async function addHosts(db: Db, sizes: readonly number[]): Promise<string[]> {
  const ids = sizes.map(() => newUuid())
  for (const [i, vcpus] of sizes.entries()) {
    const inventories = { VCPU: { total: vcpus }, MEMORY_MB: { total: 1_000 } }
    const host = { hostId: ids[i] ?? "", name: `h${i}`, inventories, traits: [] }
    await transact(db, (tx) => ensureHostProvider(tx, host))
  }
  return ids
}

/** The same as if every provider had been read. */
async function assertSame(db: Db, asked: Question): Promise<number> {
  const found = await findCandidates(db, asked)
  assert.deepEqual(found, solve(await readWorld(db), asked))
  return found.candidates.length
}

test("what is left out of the reading is no answer", async () => {
  await using database = await openTestDatabase()
  const { db } = database
  const ids = await addHosts(db, [1, 8, 1, 8, 8, 2])
  assert.equal(await assertSame(db, question({ VCPU: 4, MEMORY_MB: 10 }, null)), 3)
  assert.equal(await assertSame(db, question({ VCPU: 4 }, 2)), 2)
  assert.equal(await assertSame(db, question({ VCPU: 1 }, 1_000)), 6)
  assert.equal(await assertSame(db, question({ VCPU: 9 }, 5)), 0)
  assert.equal(await assertSame(db, question({ VCPU: 2 }, 5, ids[5])), 1)
  assert.equal(await assertSame(db, question({ VCPU: 2 }, 5, "nothing")), 0)
})

test("answers are looked for until there are as many as asked for; what is shared counts too", async () => {
  await using database = await openTestDatabase()
  const { db } = database
  const ids = await addHosts(db, [8, 8, 8, 8, 8])
  // Units keep all but the last from being answers.
  await sql`update placement.inventory set max_unit = 1
    where resource_class = 'VCPU' and provider_id <> ${ids[4]}`.execute(db)
  assert.equal(await assertSame(db, question({ VCPU: 4 }, 1)), 1)
  await sql`insert into placement.provider_trait values (${ids[0]}, 'MISC_SHARES_VIA_AGGREGATE')`.execute(db)
  await sql`insert into placement.provider_aggregate (provider_id, aggregate_id)
    select id, ${newUuid()}::uuid from placement.resource_provider`.execute(db)
  await assertSame(db, question({ VCPU: 1, MEMORY_MB: 10 }, 50))
})

test("a page among 33,334 hosts reads its own rows by indexes, and what few hosts have is found by itself", async () => {
  await using database = await openTestDatabase()
  const { db } = database
  await insertHosts(db, { count: 33_334 })
  await sql`insert into placement.inventory
      (provider_id, resource_class, total, reserved, min_unit, max_unit, step_size, allocation_ratio)
    select id, 'VGPU', 4, 0, 1, 4, 1, 1 from placement.resource_provider order by id limit 10`.execute(db)
  await sql`analyze placement.resource_provider, placement.inventory`.execute(db)
  const usual = question({ VCPU: 1, MEMORY_MB: 512, DISK_GB: 1 }, 20)
  const first = await costOf(db, worldQuery(rootsFor(usual, { after: null, limit: 20 })))
  assert.deepEqual(first.scans, [])
  assert.ok(first.rows < 20 * 20, `${first.rows} rows`)
  const [middle] = await selectIds(db, 1, 20_000)
  const later = await costOf(db, worldQuery(rootsFor(usual, { after: middle ?? "", limit: 20 })))
  assert.deepEqual(later.scans, [])
  assert.ok(later.rows < 20 * 20, `${later.rows} rows`)
  const statements = await statementsOf(() => findCandidates(db, usual))
  assert.equal(statements.length, 2, statements.join("\n---\n"))
  const rare = question({ VCPU: 1, MEMORY_MB: 512, DISK_GB: 1, VGPU: 1 }, 20)
  const few = await costOf(db, worldQuery(rootsFor(rare, { after: null, limit: 20 })))
  assert.deepEqual(few.scans, [])
  assert.ok(few.rows < 20 * 20, `${few.rows} rows`)
  assert.equal((await findCandidates(db, rare)).candidates.length, 10)
})

async function selectIds(db: Db, limit: number, offset: number): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`select id from placement.resource_provider
    order by created_at, id limit ${limit} offset ${offset}`.execute(db)
  return rows.map(({ id }) => id)
}
