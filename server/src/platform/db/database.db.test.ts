import assert from "node:assert/strict"
import { test } from "node:test"
import { sql } from "kysely"
import { openTestDatabase } from "../../../test/database.ts"
import { eventually } from "../clock/clock.ts"
import { Fault } from "../fault/fault.ts"
import { transact } from "./database.ts"

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
