// A program and a database of different ages: the older program on the schema of the newer one, and back.
import assert from "node:assert/strict"
import { cp, mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import type pg from "pg"
import { migrate, readMigrations, schemaDirectory } from "../src/platform/db/migrate.ts"
import { ownProgram } from "../src/platform/program/program.ts"
import { openEmptyDatabase } from "./database.ts"

/** The schema of a program that is newer by these migrations. */
async function newerSchema(
  files: Readonly<Record<string, string>>,
): Promise<AsyncDisposable & { path: string }> {
  const path = await mkdtemp(join(tmpdir(), "kumoi-newer-schema-"))
  await cp(schemaDirectory, path, { recursive: true })
  for (const [file, sql] of Object.entries(files)) await writeFile(join(path, file), sql)
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) }
}

const { schema } = ownProgram()
/** A table of that service, whichever. */
async function anyTable(pool: pg.Pool): Promise<string> {
  const { rows } = await pool.query<{ name: string }>(
    "select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname = 'quota' order by 1",
  )
  return rows[0]?.name ?? assert.fail("quota has no table")
}

test("the program of before goes on with a schema that was only expanded, and the newer one again after it", async () => {
  await using database = await openEmptyDatabase()
  const { connectionString: url } = database
  await migrate(url)
  const table = await anyTable(database.pool)
  await using newer = await newerSchema({
    "quota/9001_more.sql": `alter table ${table} add column more text;`,
  })
  assert.deepEqual(await migrate(url, { directory: newer.path, schema: schema + 1 }), ["quota/9001_more"])
  const told: string[][] = []
  assert.deepEqual(await migrate(url, { onNewer: (names) => void told.push(names) }), [])
  assert.deepEqual(told, [["quota/9001_more"]])
  assert.deepEqual(await migrate(url, { directory: newer.path, schema: schema + 1 }), [])
})

test("a contraction keeps those programs from the database that it is not for, and says which it is", async () => {
  await using database = await openEmptyDatabase()
  const { connectionString: url } = database
  await migrate(url)
  const table = await anyTable(database.pool)
  await using newer = await newerSchema({
    ...{ "quota/9001_more.sql": `alter table ${table} add column more text;` },
    "quota/9002_less.sql": `-- contract: programs from ${schema + 2}\nalter table ${table} drop column more;`,
  })
  await migrate(url, { directory: newer.path, schema: schema + 3 })
  const before = await database.pool.query("select * from platform.migration order by name")
  for (const own of [schema, schema + 1])
    await assert.rejects(migrate(url, { schema: own }), {
      code: "db.schema.too_new",
      message: new RegExp(`quota/9002_less .*from schema ${schema + 2} on.*this one has ${own}`),
    })
  assert.deepEqual(
    (await database.pool.query("select * from platform.migration order by name")).rows,
    before.rows,
  )
  // Of the release before the contraction: it does without the column already.
  assert.deepEqual(await migrate(url, { schema: schema + 2 }), [])
})

test("a database of before there were marks is taken as it is", async () => {
  await using database = await openEmptyDatabase()
  const { connectionString: url, pool } = database
  await migrate(url)
  await pool.query("alter table platform.migration drop column minimum_program")
  assert.deepEqual(await migrate(url), [])
  // The program of before writes its records without it.
  const names = (await readMigrations()).map(({ name }) => name)
  await pool.query("insert into platform.migration (name, checksum) values ('quota/9001_more', 'x')")
  assert.deepEqual(await migrate(url), [])
  assert.equal((await pool.query("select from platform.migration")).rowCount, names.length + 1)
})
