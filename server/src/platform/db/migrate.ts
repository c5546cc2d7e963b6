// Forward-only migrations: server/schema/<service>/NNNN_name.sql. `platform` and `engine` first, then the services
// by name (there are no foreign keys across services, so their order does not matter).
import { createHash } from "node:crypto"
import { readdir, readFile } from "node:fs/promises"
import { join } from "node:path"
import pg from "pg"

export const schemaDirectory = join(import.meta.dirname, "../../../schema")

export interface Migration {
  /** `service/NNNN_name` */
  name: string
  sql: string
  checksum: string
}

const firstServices = ["platform", "engine"]

export async function readMigrations(directory = schemaDirectory): Promise<Migration[]> {
  const entries = await readdir(directory, { withFileTypes: true })
  const services = entries.filter((e) => e.isDirectory()).map((e) => e.name)
  const order = (s: string) => (firstServices.includes(s) ? `${firstServices.indexOf(s)}` : `9${s}`)
  services.sort((a, b) => order(a).localeCompare(order(b)))
  const migrations: Migration[] = []
  for (const service of services) {
    const files = (await readdir(join(directory, service))).filter((f) => f.endsWith(".sql")).sort()
    for (const file of files) {
      const text = await readFile(join(directory, service, file), "utf8")
      const checksum = createHash("sha256").update(text).digest("hex")
      migrations.push({ name: `${service}/${file.replace(/\.sql$/, "")}`, sql: text, checksum })
    }
  }
  return migrations
}

/** Held while migrating, so that processes starting together do it once. */
const migrationLock = 5_106_211

/** Brings the database to the newest schema; returns the names applied. Each migration commits with its record. */
export async function migrate(
  connectionString: string,
  directory = schemaDirectory,
  /** These alone: the schema as it was when a backup was made. */
  only?: ReadonlySet<string>,
): Promise<string[]> {
  const client = new pg.Client({ connectionString })
  // A connection that breaks fails the statement under way; its event alone would end the process.
  client.on("error", () => {})
  await client.connect()
  try {
    await client.query("select pg_advisory_lock($1)", [migrationLock])
    await client.query("create schema if not exists platform")
    await client.query(
      "create table if not exists platform.migration (name text primary key, checksum text not null, applied_at timestamptz not null default now())",
    )
    const done = await client.query<{ name: string; checksum: string }>(
      "select name, checksum from platform.migration",
    )
    const applied = new Map(done.rows.map((row) => [row.name, row.checksum]))
    const names: string[] = []
    // A disk's wait at the end and not at each of a hundred: what a crash loses of the last ones is applied again.
    await client.query("set synchronous_commit = off")
    for (const migration of await readMigrations(directory)) {
      if (only && !only.has(migration.name)) continue
      const before = applied.get(migration.name)
      if (before === migration.checksum) continue
      if (before)
        throw new Error(`migration ${migration.name} was changed after it was applied; add a new one instead`)
      await applyMigration(client, migration)
      names.push(migration.name)
    }
    await client.query("reset synchronous_commit")
    // The commit that is waited for; those before it are on the disk with it.
    const last = names.at(-1)
    if (last !== undefined)
      await client.query("update platform.migration set name = name where name = $1", [last])
    return names
  } finally {
    await client.end()
  }
}

async function applyMigration(client: pg.Client, migration: Migration): Promise<void> {
  await client.query("begin")
  try {
    await client.query(migration.sql)
    await client.query("insert into platform.migration (name, checksum) values ($1, $2)", [
      migration.name,
      migration.checksum,
    ])
    await client.query("commit")
  } catch (error) {
    await client.query("rollback")
    throw new Error(`migration ${migration.name} failed`, { cause: error })
  }
}
