import assert from "node:assert/strict"
import { test } from "node:test"
import { sql } from "kysely"
import { openTestDatabase } from "../../../test/database.ts"
import { eventually } from "../clock/clock.ts"
import { Fault } from "../fault/fault.ts"
import { pgErrorCode, transact } from "./database.ts"

test("a connection that breaks within a transaction fails it as unavailable; the process and the pool go on", async () => {
  await using database = await openTestDatabase()
  const broken = transact(database.db, async (tx) => {
    const { rows } = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(tx)
    const pid = rows[0]?.pid
    await database.pool.query("select pg_terminate_backend($1)", [pid])
    await eventually("the backend to be gone", async () => {
      const left = await database.pool.query("select 1 from pg_stat_activity where pid = $1", [pid])
      return left.rowCount === 0
    })
    await sql`select 1`.execute(tx)
  })
  await assert.rejects(broken, (error) => error instanceof Fault && error.kind === "unavailable")
  assert.equal((await database.pool.query("select 1 as one")).rows[0].one, 1)
})

test("nothing is written in a transaction that could not begin", async () => {
  await using database = await openTestDatabase({ poolMax: 1 })
  const { db } = database
  await sql`create table public.thing (n int)`.execute(db)
  // Kysely knows of this level and PostgreSQL does not.
  const notBeginning = db.transaction().setIsolationLevel("snapshot")
  const write = sql`insert into public.thing values (1)`
  const syntaxError = (error: unknown) => pgErrorCode(error) === "42601"
  await assert.rejects(
    notBeginning.execute((tx) => write.execute(tx)),
    syntaxError,
  )
  await assert.rejects(
    notBeginning.execute(
      async (tx) => await Promise.allSettled([sql`select 1`.execute(tx), write.execute(tx)]),
    ),
    syntaxError,
  )
  assert.equal((await sql`select from public.thing`.execute(db)).rows.length, 0)
  await transact(db, (tx) => write.execute(tx))
  assert.equal((await sql`select from public.thing`.execute(db)).rows.length, 1)
})
