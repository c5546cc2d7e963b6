import assert from "node:assert/strict"
import { test } from "node:test"
import { openTestDatabase } from "../server/test/database.ts"
import { dumpSchema, readSchemaFile } from "./dump-schema.ts"
import { checkServices, compareTables, servicesWithTables } from "./generate-tables.ts"

test("schema.sql is what the migrations add up to (node tools/dump-schema.ts writes it)", async () => {
  await using database = await openTestDatabase()
  assert.equal(readSchemaFile(), await dumpSchema(database.pool))
})

test("the declared table types are those of the database (node tools/generate-tables.ts --check)", async () => {
  await using database = await openTestDatabase()
  assert.deepEqual(await checkServices(database.pool, servicesWithTables()), [])
})

test("a difference between declaration and database is found", () => {
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
    { ...column, name: "added", type: "text" },
  ]
  const text = `
interface Standard {
  id: string
  tags: string[]
}
export interface ThingTable extends Omit<Standard, "tags"> {
  name: string
  removed: string
}
declare module "../platform/db/database.ts" {
  interface Database {
    "test.thing": ThingTable
    "test.other": ThingTable
  }
}
`
  assert.deepEqual(compareTables("test", [text], columns), [
    "test.thing.name can be null, and string does not say so",
    "test.thing.added is not declared",
    "test.thing.removed is declared and is not in the database",
    "test.other is declared and is not in the database",
  ])
})
