import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { sql } from "kysely"
import { openTestDatabase, type TestDatabase } from "../../../test/database.ts"
import { Fault } from "../fault/fault.ts"
import { checkPattern, matchesPattern, withPatterns } from "./text-pattern.ts"

let database: TestDatabase
before(async () => {
  database = await openTestDatabase()
})
after(async () => {
  await database[Symbol.asyncDispose]()
})

/** Which of the texts match. */
async function matching(pattern: string, texts: readonly string[]): Promise<string[]> {
  return await withPatterns(database.db, [["name", pattern]], async (db) => {
    const { rows } = await sql<{ text: string }>`select text from unnest(${[...texts]}::text[]) as t (text)
      where ${matchesPattern(sql.ref("text"), pattern)} order by text`.execute(db)
    return rows.map((row) => row.text)
  })
}

test("plain text is found as it is, a regular expression as one", async () => {
  const texts = ["db", "web-1", "web-2", "web-10", "a.b", "100%_done"]
  assert.deepEqual(await matching("web", texts), ["web-1", "web-10", "web-2"])
  assert.deepEqual(await matching("%_", texts), ["100%_done"])
  assert.deepEqual(await matching("a.b", texts), ["a.b"])
  assert.deepEqual(await matching("a\\.b", texts), ["a.b"])
  assert.deepEqual(await matching("^web-1$", texts), ["web-1"])
  assert.deepEqual(await matching("^web-[12]$", texts), ["web-1", "web-2"])
  assert.deepEqual(await matching("^web-\\d{2}$", texts), ["web-10"])
  assert.deepEqual(await matching("^(db|a.*)$", texts), ["a.b", "db"])
})

test("what takes too long is told so, and takes nobody else's time", async () => {
  const text = `${"x".repeat(253)}z`
  const slow = "(x?){50}(x?){50}(x?){50}(x?){50}(x?){50}y"
  // So many rows that no machine is fast enough.
  const attempts = Array.from({ length: 6 }, () =>
    withPatterns(database.db, [["name", slow]], async (db) => {
      await sql`select from generate_series(1, 10000000) as n
        where ${matchesPattern(sql`${text}::text || n`, slow)}`.execute(db)
    }),
  )
  const outcomes = Promise.allSettled(attempts)
  assert.deepEqual(await matching("z", [text]), [text], "plain text does not wait for them")
  for (const outcome of await outcomes) {
    assert.ok(outcome.status === "rejected" && outcome.reason instanceof Fault)
    assert.equal(outcome.reason.kind, "invalid")
    assert.match(outcome.reason.message, /query parameter name: the regular expression takes too long/)
  }
  const { rows } = await sql<{ limit: string }>`select current_setting('statement_timeout') as limit`.execute(
    database.db,
  )
  assert.notEqual(rows[0]?.limit, "500ms", "the limit ends with its transaction")
})

test("what no time is enough for is refused before it runs", async () => {
  for (const pattern of ["^(.+)b\\1$", "x".repeat(256), "(x?){51}", "x{1,1000}", "(a)\\\\\\1"])
    assert.throws(() => checkPattern("name", pattern), /query parameter name/, pattern)
  for (const pattern of ["a\\\\1", "x{2,50}", "^web-\\d+$", "{99", "10.0.0.*"])
    assert.doesNotThrow(() => checkPattern("name", pattern), pattern)
  await assert.rejects(matching("(", ["x"]), /it is not a regular expression/)
  await assert.rejects(matching("[", ["x"]), /it is not a regular expression/)
})
