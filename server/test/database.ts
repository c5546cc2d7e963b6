// A database for each test: a clone of a template that has all migrations. Making the template costs its migrations
// once for each state of server/schema; a clone costs some 20 ms.
import { createHash, randomBytes } from "node:crypto"
import pg from "pg"
import { type Db, openDatabase } from "../src/platform/db/database.ts"
import { migrate, readMigrations } from "../src/platform/db/migrate.ts"
import { startTestPostgres } from "./postgres-server.ts"

export { startTestPostgres, type TestPostgres } from "./postgres-server.ts"

export interface TestDatabase extends AsyncDisposable {
  readonly db: Db
  readonly pool: pg.Pool
  readonly connectionString: string
}

/** Where the test runner has started a server for all test processes. */
export const testServerVariable = "KUMOI_TEST_DATABASE_URL"

let serverUrl: Promise<string> | undefined

function testServerUrl(): Promise<string> {
  serverUrl ??= (async () => process.env[testServerVariable] ?? (await startTestPostgres()).url)()
  return serverUrl
}

/** Held while a template is made, so that test processes starting together make it once. */
const templateLock = 5_106_212

const templates = new Map<string, Promise<string>>()

/** The name of the template database on that server, made when it is not there. */
function templateDatabase(url: string): Promise<string> {
  let made = templates.get(url)
  if (!made) {
    made = makeTemplate(url)
    templates.set(url, made)
  }
  return made
}

async function makeTemplate(url: string): Promise<string> {
  const migrations = await readMigrations()
  const hash = createHash("sha256").update(migrations.map((m) => `${m.name} ${m.checksum}`).join("\n"))
  const name = `kumoi_template_${hash.digest("hex").slice(0, 16)}`
  await administrate(url, async (client) => {
    await client.query("select pg_advisory_lock($1)", [templateLock])
    const found = await client.query("select from pg_database where datname = $1", [name])
    if (found.rowCount !== 0) return
    // Made aside and renamed: who finds the name finds it whole.
    await client.query(`drop database if exists ${name}_new`)
    await client.query(`create database ${name}_new`)
    await migrate(databaseUrl(url, `${name}_new`))
    await client.query(`alter database ${name}_new rename to ${name}`)
  })
  return name
}

async function administrate(url: string, run: (client: pg.Client) => Promise<void>): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await run(client)
  } finally {
    await client.end()
  }
}

// Not with URL: an address with a socket directory has an empty host beside a user, which URL refuses.
function databaseUrl(url: string, database: string): string {
  return url.replace(/^([a-z]+:\/\/[^/?]*)(?:\/[^?]*)?/, `$1/${database}`)
}

export interface TestDatabaseOptions {
  /** A server other than that of the test run. */
  server?: string
  poolMax?: number
}

/** A fresh, migrated, empty database of this test alone; dropped when disposed. */
export async function openTestDatabase(options: TestDatabaseOptions = {}): Promise<TestDatabase> {
  const url = options.server ?? (await testServerUrl())
  return await openClone(url, await templateDatabase(url), options)
}

/** One without any schema, for tests of the migrations themselves. */
export async function openEmptyDatabase(options: TestDatabaseOptions = {}): Promise<TestDatabase> {
  return await openClone(options.server ?? (await testServerUrl()), "template0", options)
}

async function openClone(url: string, template: string, options: TestDatabaseOptions): Promise<TestDatabase> {
  const name = `kumoi_test_${randomBytes(8).toString("hex")}`
  await administrate(url, async (client) => {
    await client.query(`create database ${name} template ${template} strategy file_copy`)
  })
  const connectionString = databaseUrl(url, name)
  const { db, pool } = openDatabase({ connectionString, poolMax: options.poolMax ?? 8 })
  return {
    db,
    pool,
    connectionString,
    async [Symbol.asyncDispose]() {
      await db.destroy()
      await administrate(url, async (client) => {
        await client.query(`drop database if exists ${name} with (force)`)
      })
    },
  }
}
