import assert from "node:assert/strict"
import { test } from "node:test"
import { sql } from "kysely"
import { statementsOf } from "../../../test/count-statements.ts"
import { openTestDatabase } from "../../../test/database.ts"
import { afterCommit, transact, violatedConstraint } from "./database.ts"
import { type Gathered, gather, hasGathered, writeGathered } from "./gather.ts"

const kindOf = (table: string): Gathered<number> => ({
  write: (numbers) => ({
    [`rows_of_${table}`]: sql`insert into ${sql.table(`public.${table}`)} select unnest(${[...numbers]}::int[])`,
  }),
})
const [first, second] = [kindOf("one"), kindOf("two")]

async function openTables() {
  const database = await openTestDatabase()
  await database.pool.query("create table public.one (n int primary key); create table public.two (n int)")
  const rows = async (table: string) =>
    (await database.pool.query<{ n: number }>(`select n from public.${table} order by n`)).rows.map(
      ({ n }) => n,
    )
  return { database, rows }
}

test("what is gathered is one statement at the end, in one transaction with the rest", async () => {
  const { database, rows } = await openTables()
  await using _database = database
  const statements = await statementsOf(() =>
    transact(database.db, async (tx) => {
      gather(tx, first, [1])
      gather(tx, second, [2])
      gather(tx, first, [3])
      assert.ok(hasGathered(tx, first))
    }),
  )
  assert.equal(statements.length, 3, statements.join("\n"))
  assert.deepEqual([await rows("one"), await rows("two")], [[1, 3], [2]])
  await transact(database.db, async (tx) => {
    gather(tx, second, [4])
    await writeGathered(tx)
    assert.ok(!hasGathered(tx, second))
    const found = await sql`select from public.two where n = 4`.execute(tx)
    assert.equal(found.rows.length, 1)
  })
})

test("more rows than one statement takes are all written", async () => {
  const { database, rows } = await openTables()
  await using _database = database
  const many = Array.from({ length: 2_500 }, (_, n) => n)
  await transact(database.db, async (tx) => {
    gather(tx, first, many)
    gather(tx, second, [7])
  })
  assert.deepEqual([await rows("one"), await rows("two")], [many, [7]])
})

test("when the last statement fails, that is told, nothing is committed, and the connection goes on", async () => {
  const { database, rows } = await openTables()
  await using _database = database
  let isTold = false
  for (let i = 0; i < 12; i++) {
    const failing = transact(database.db, async (tx) => {
      await sql`insert into public.two values (1)`.execute(tx)
      gather(tx, first, [5, 5])
      afterCommit(tx, () => {
        isTold = true
      })
    })
    await assert.rejects(failing, (error) => violatedConstraint(error) === "one_pkey")
  }
  assert.equal(isTold, false)
  assert.deepEqual([await rows("one"), await rows("two")], [[], []])
  await transact(database.db, async (tx) => gather(tx, first, [5]))
  assert.deepEqual(await rows("one"), [5])
})
