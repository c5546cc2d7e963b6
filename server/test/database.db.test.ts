import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import { existsSync } from "node:fs"
import { dirname } from "node:path"
import { test } from "node:test"
import { sql } from "kysely"
import pg from "pg"
import { eventually } from "../src/platform/clock/clock.ts"
import { readMigrations } from "../src/platform/db/migrate.ts"
import { openTestDatabase } from "./database.ts"

test("each test database is migrated and alone", async () => {
  await using first = await openTestDatabase()
  await using second = await openTestDatabase()
  const migrations = await readMigrations()
  const applied = await first.pool.query("select name from platform.migration")
  assert.equal(applied.rowCount, migrations.length)
  await sql`create table public.only_here (id int)`.execute(first.db)
  await assert.rejects(second.pool.query("select from public.only_here"), /does not exist/)
})

test("a disposed database is gone", async () => {
  const database = await openTestDatabase()
  await database[Symbol.asyncDispose]()
  const client = new pg.Client({ connectionString: database.connectionString })
  client.on("error", () => {})
  await assert.rejects(client.connect(), /does not exist/)
})

test("a test process that is killed leaves no server and no directory", async () => {
  const code = `
    const { startTestPostgres } = await import(${JSON.stringify(`${import.meta.dirname}/database.ts`)})
    const server = await startTestPostgres()
    process.stdout.write(server.dataDir + "\\n")
    setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ["--input-type=module", "-e", code], {
    stdio: ["ignore", "pipe", "inherit"],
  })
  const dataDir = await new Promise<string>((resolve, reject) => {
    child.stdout.once("data", (chunk: Buffer) => resolve(chunk.toString().trim()))
    child.once("exit", (exitCode) => reject(new Error(`ended early with ${exitCode}`)))
  })
  assert.ok(existsSync(dataDir))
  child.kill("SIGKILL")
  await eventually("the directory to be gone", () => !existsSync(dirname(dataDir)))
})
