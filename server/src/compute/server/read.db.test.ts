import assert from "node:assert/strict"
import { test } from "node:test"
import { sql } from "kysely"
import { openTestDatabase } from "../../../test/database.ts"
import { costOf } from "../../../test/noun-lists/cost.ts"
import { transact } from "../../platform/db/database.ts"
import { listStatement, listThings, patternsIn } from "../../platform/noun/list.ts"
import { sourceOf } from "../../platform/noun/noun.ts"
import { newServer } from "../testing/new-server.ts"
import { serverNoun } from "./server.ts"
import { insertServers } from "./store.ts"

const mine = { projectId: "me", seesAll: false, withDeleted: true }
const all = { projectId: null, seesAll: true, withDeleted: true }

test("deleted servers are found among those of all, and among those that are there", async () => {
  await using database = await openTestDatabase()
  const { db } = database
  const made = await transact(db, (tx) =>
    insertServers(
      tx,
      Array.from({ length: 2_000 }, (_, n) =>
        newServer({ launchIndex: n, projectId: n % 500 === 0 ? "me" : "other" }),
      ),
    ),
  )
  const indexes = sql`launch_index % 1000 = 0 or (launch_index % 2 = 1 and launch_index < 1500)`
  await sql`update compute.server set deleted_at = now() where ${indexes}`.execute(db)
  await sql`vacuum analyze compute.server`.execute(db)
  const query = { filters: { deleted: ["true"] }, page: { limit: 10 } }
  for (const viewer of [mine, all]) {
    const { rows, scans } = await costOf(db, listStatement(sourceOf(serverNoun, viewer), query, null))
    assert.deepEqual([rows <= 20, scans], [true, []], `${rows} rows of ${made.length}`)
  }
  const ids = (await listThings(db, serverNoun, mine, query)).map((server) => server.launchIndex)
  assert.deepEqual(ids.sort(), [0, 1_000])
})

test("a page reads the fields that are asked for, and begins after a server that is deleted by now", async () => {
  await using database = await openTestDatabase()
  const { db } = database
  const made = await transact(db, (tx) =>
    insertServers(
      tx,
      [0, 1, 2].map((launchIndex) => newServer({ launchIndex, projectId: "me" })),
    ),
  )
  const expected = made
    .map((server) => server.id)
    .sort()
    .reverse()
  await sql`update compute.server set deleted_at = now() where id = ${expected[0]}`.execute(db)
  const page = { limit: 2, marker: expected[0] ?? null }
  const filters = { deleted: ["false"] }
  const found = await listThings(db, serverNoun, mine, { filters, page, only: ["id", "name"] })
  assert.deepEqual(
    found,
    expected.slice(1).map((id) => ({ id, name: "vm" })),
  )
  const strange = { ...page, marker: "00000000-0000-4000-8000-000000000000" }
  await assert.rejects(listThings(db, serverNoun, mine, { page: strange }), /marker .* not found/)
})

test("what callers write as regular expressions is known by name, each of them", () => {
  const filters = { name: ["a", "(b+)+"], keyName: ["c"], host: ["h"], updatedAt: [] }
  assert.deepEqual(patternsIn(serverNoun, filters), [
    ["name", "a"],
    ["name", "(b+)+"],
    ["key_name", "c"],
  ])
})
