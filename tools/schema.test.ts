import assert from "node:assert/strict"
import { test } from "node:test"
import { openTestDatabase } from "../server/test/database.ts"
import { dumpSchema, readSchemaFile } from "./dump-schema.ts"
import { checkServices, problemsOf, tablesText } from "./generate-tables.ts"

test("schema.sql is what the migrations add up to (node tools/dump-schema.ts writes it)", async () => {
  await using database = await openTestDatabase()
  assert.equal(readSchemaFile(), await dumpSchema(database.pool))
})

test("tables.ts of each service is what the database has (node tools/generate-tables.ts --write)", async () => {
  await using database = await openTestDatabase()
  assert.deepEqual(await checkServices(database.pool), [])
})

test("a difference between tables.ts and the database is found", () => {
  const column = {
    table: "thing",
    isArray: false,
    isNullable: false,
    hasDefault: false,
    isAlwaysGenerated: false,
  }
  const columns = [
    { ...column, name: "id", type: "uuid" },
    { ...column, name: "name", type: "text", isNullable: true },
    { ...column, name: "facts", type: "jsonb", hasDefault: true },
    { ...column, name: "words", type: "text", isArray: true },
  ]
  const refined = { columns: new Set(["thing.facts"]), hasMore: false }
  const text = tablesText("test", columns, refined)
  assert.match(
    text,
    /name: string \| null\n {2}facts: Generated<Columns\["thing.facts"\]>\n {2}words: string\[\]/,
  )
  assert.deepEqual(problemsOf("test", text, columns, refined), [])
  const stale = "test/tables.ts is not what the database has: node tools/generate-tables.ts --write"
  assert.deepEqual(problemsOf("test", text, columns.slice(1), refined), [stale])
  const wrong = { columns: new Set(["thing.facts", "thing.gone"]), hasMore: false }
  assert.deepEqual(problemsOf("test", text, columns, wrong), [
    "test/columns.ts: thing.gone is not in the database",
  ])
})
