import assert from "node:assert/strict"
import { test } from "node:test"
import { sql } from "kysely"
import { openTestDatabase } from "../../../test/database.ts"
import { type Db, openDatabase, transact } from "./database.ts"

async function preparedTexts(db: Db): Promise<string[]> {
  // Without a parameter, so that it does not get a name itself.
  const { rows } = await sql<{ statement: string }>`select statement from pg_prepared_statements`.execute(db)
  return rows.map((row) => row.statement)
}

async function repeat(times: number, run: () => Promise<unknown>): Promise<void> {
  for (let i = 0; i < times; i++) await run()
}

test("what runs often is prepared; what varies without end does not use the connection up", async () => {
  await using database = await openTestDatabase({ poolMax: 1 })
  const { db } = database
  await repeat(20, () => sql`select ${1}::int as hot`.execute(db))
  await sql`select ${1}::int as cold`.execute(db)
  const hot = await preparedTexts(db)
  assert.deepEqual(
    hot.filter((text) => /hot|cold/.test(text)),
    ["select $1::int as hot"],
  )
  for (let n = 0; n < 300; n++)
    await repeat(10, () => sql`select ${1}::int as ${sql.id(`name_${n}`)}`.execute(db))
  assert.ok((await preparedTexts(db)).length <= 128)
})

test("a column that another process adds breaks no prepared statement, in a transaction or outside", async () => {
  await using database = await openTestDatabase({ poolMax: 1 })
  const { db } = database
  const other = openDatabase({ connectionString: database.connectionString, poolMax: 1 })
  try {
    await sql`create table public.thing (id int)`.execute(db)
    await sql`insert into public.thing values (1)`.execute(db)
    const read = (from: Db) => sql`select * from public.thing where id = ${1}`.execute(from)
    await repeat(20, () => read(db))
    await sql`alter table public.thing add column name text`.execute(other.db)
    assert.deepEqual((await read(db)).rows, [{ id: 1, name: null }])
    await repeat(20, () => read(db))
    await sql`alter table public.thing add column colour text`.execute(other.db)
    const { rows } = await transact(db, (tx) => read(tx))
    assert.deepEqual(rows, [{ id: 1, name: null, colour: null }])
  } finally {
    await other.db.destroy()
  }
})
