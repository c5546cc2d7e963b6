// Forward-only migrations: server/schema/<service>/NNNN_name.sql. `platform` and `engine` first, then the services
// by name (there are no foreign keys across services, so their order does not matter).
import { createHash } from "node:crypto"
import { readdir, readFile } from "node:fs/promises"
import { join } from "node:path"
import pg from "pg"
import { fault } from "../fault/fault.ts"
import { ownProgram } from "../program/program.ts"
import { programsFrom } from "./migration-kind.ts"

export const schemaDirectory = join(import.meta.dirname, "../../../schema")

export interface Migration {
  /** `service/NNNN_name` */
  name: string
  sql: string
  checksum: string
  /** The first program that may use the schema after it; null: whichever used it before (migration-kind.ts). */
  programsFrom: number | null
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
      const name = `${service}/${file.replace(/\.sql$/, "")}`
      migrations.push({ name, sql: text, checksum, programsFrom: programsFrom(text) })
    }
  }
  return migrations
}

/** What a database says of a migration that it has. */
export interface AppliedMigration {
  name: string
  checksum: string
  /** As `programsFrom`; null also of what programs of before there was that have applied. */
  minimumProgram: number | null
}

export const schemaTooNew = fault(
  "precondition",
  "db.schema.too_new",
  (name: string, from: number, own: number) =>
    `The database has the schema of a newer program: after migration ${name} it is for programs from schema ${from} on, ` +
    `and this one has ${own}. Start the newer program, or restore a backup of before it.`,
)

/** Those of a database that a program with these migrations does not know; a newer one has applied them. */
export function newerMigrations(
  applied: readonly AppliedMigration[],
  known: readonly Pick<Migration, "name">[],
): AppliedMigration[] {
  const names = new Set(known.map(({ name }) => name))
  return applied.filter(({ name }) => !names.has(name))
}

/** The one that keeps a program with this number from the database; undefined: none does. */
export function refusingMigration(
  newer: readonly AppliedMigration[],
  schema: number,
): (AppliedMigration & { minimumProgram: number }) | undefined {
  return newer.find(
    (each): each is AppliedMigration & { minimumProgram: number } => (each.minimumProgram ?? 0) > schema,
  )
}

/** What the database has applied, in no order; empty when it has nothing of ours. */
export async function readApplied(client: pg.Client): Promise<AppliedMigration[]> {
  const table = await client.query<{ isThere: boolean; isEmpty: boolean }>(
    `select exists (select from pg_attribute where attrelid = to_regclass('platform.migration')
       and attname = 'minimum_program') as "isThere", to_regclass('platform.migration') is null as "isEmpty"`,
  )
  const [found] = table.rows
  if (!found || found.isEmpty) return []
  const minimum = found.isThere ? "minimum_program" : "null::integer"
  const { rows } = await client.query<AppliedMigration>(
    `select name, checksum, ${minimum} as "minimumProgram" from platform.migration`,
  )
  return rows
}

export interface MigrateOptions {
  directory?: string
  /** These alone: the schema as it was when a backup was made. */
  only?: ReadonlySet<string>
  /** The number of the program that will use it; default: this one's. */
  schema?: number
  /** Told of migrations that a newer program has applied, when this one may go on with them. */
  onNewer?: (names: string[]) => void
}

/** Held while migrating, so that processes starting together do it once. */
const migrationLock = 5_106_211

/**
 * Brings the database to the newest schema; returns the names applied. Each migration commits with its record. Throws
 * when the schema is a newer program's, and not for this one.
 */
export async function migrate(connectionString: string, options: MigrateOptions = {}): Promise<string[]> {
  const { directory = schemaDirectory, only, schema = ownProgram().schema, onNewer } = options
  const client = new pg.Client({ connectionString })
  // A connection that breaks fails the statement under way; its event alone would end the process.
  client.on("error", () => {})
  await client.connect()
  try {
    await client.query("select pg_advisory_lock($1)", [migrationLock])
    const before = await readApplied(client)
    const migrations = await readMigrations(directory)
    const newer = newerMigrations(before, migrations)
    const refusing = refusingMigration(newer, schema)
    if (refusing) throw schemaTooNew(refusing.name, refusing.minimumProgram, schema)
    if (newer.length > 0) onNewer?.(newer.map(({ name }) => name))
    await makeRecord(client)
    const applied = new Map(before.map((row) => [row.name, row.checksum]))
    const names: string[] = []
    // A disk's wait at the end and not at each of a hundred: what a crash loses of the last ones is applied again.
    await client.query("set synchronous_commit = off")
    for (const migration of migrations) {
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

/** Looked at before it is changed: a change waits for whoever reads the table, such as a backup. */
async function makeRecord(client: pg.Client): Promise<void> {
  await client.query("create schema if not exists platform")
  await client.query(
    `create table if not exists platform.migration (name text primary key, checksum text not null,
       applied_at timestamptz not null default now(), minimum_program integer)`,
  )
  const found = await client.query(
    "select from pg_attribute where attrelid = 'platform.migration'::regclass and attname = 'minimum_program'",
  )
  if (found.rowCount === 0)
    await client.query("alter table platform.migration add column minimum_program integer")
}

async function applyMigration(client: pg.Client, migration: Migration): Promise<void> {
  await client.query("begin")
  try {
    await client.query(migration.sql)
    await client.query(
      "insert into platform.migration (name, checksum, minimum_program) values ($1, $2, $3)",
      [migration.name, migration.checksum, migration.programsFrom],
    )
    await client.query("commit")
  } catch (error) {
    await client.query("rollback")
    throw new Error(`migration ${migration.name} failed`, { cause: error })
  }
}
