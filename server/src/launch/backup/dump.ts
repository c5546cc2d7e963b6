// Reads the whole database in one snapshot, while the cloud works: what is committed meanwhile is in the next backup.
import { createHash } from "node:crypto"
import { createWriteStream } from "node:fs"
import { mkdir, open } from "node:fs/promises"
import { dirname, join } from "node:path"
import { Transform } from "node:stream"
import { pipeline } from "node:stream/promises"
import type pg from "pg"
import { copyOut } from "../../platform/db/copy.ts"
import type { BackupFile, BackupTable, Manifest } from "./manifest.ts"

const ours = "n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'public')"

export type DatabaseDump = Pick<
  Manifest,
  "epoch" | "postgresVersion" | "migrations" | "tables" | "sequences"
> & { files: BackupFile[] }

/** The client is in a transaction of one snapshot (`beginSnapshot`). */
export async function dumpDatabase(client: pg.Client, directory: string): Promise<DatabaseDump> {
  const tables = await listTables(client)
  const files: BackupFile[] = []
  for (const table of tables) {
    const columns = table.columns.map(quoted).join(", ")
    const rows = copyOut(client, `copy ${table.name} (${columns}) to stdout`)
    files.push(await writeBackupFile(directory, table.path, rows))
  }
  const one = async <T extends pg.QueryResultRow>(text: string) => (await client.query<T>(text)).rows
  const [epoch] = await one<{ number: string; id: string }>(
    "select epoch as number, epoch_id as id from platform.cloud",
  )
  const [version] = await one<{ server_version: string }>("show server_version")
  if (!epoch || !version) throw new Error("the database has no epoch")
  const sequences = await one<{ name: string; value: string }>(`
    select format('%I.%I', schemaname, sequencename) as name, last_value as value
    from pg_sequences where last_value is not null and schemaname !~ '^pg_' order by 1`)
  return {
    epoch: { ...epoch, number: Number(epoch.number) },
    postgresVersion: version.server_version,
    migrations: await one("select name, checksum from platform.migration order by applied_at, name"),
    tables,
    // Not part of a snapshot: at least as high as any row that was read.
    sequences: sequences.map(({ name, value }) => ({ name, value: Number(value) })),
    files,
  }
}

export async function beginSnapshot(client: pg.Client): Promise<void> {
  // A statement's usual time limit is for requests.
  await client.query("set statement_timeout = 0")
  await client.query("begin isolation level repeatable read read only")
}

/** Every table but the record of migrations, each after those that its rows refer to. */
async function listTables(client: pg.Client): Promise<BackupTable[]> {
  const found = await client.query<{ schema: string; table: string; columns: string[] }>(`
    select n.nspname as schema, c.relname as table,
      array_agg(a.attname::text order by a.attnum) as columns
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
      join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
    where c.relkind = 'r' and ${ours} and (n.nspname, c.relname) <> ('platform', 'migration')
    group by 1, 2 order by 1, 2`)
  const references = await client.query<{ from: string; to: string }>(`
    select f.conrelid::regclass::text as from, f.confrelid::regclass::text as to
    from pg_constraint f where f.contype = 'f' and f.conrelid <> f.confrelid`)
  const tables = found.rows.map(({ schema, table, columns }) => ({
    name: `${quoted(schema)}.${quoted(table)}`,
    columns,
    path: `database/${schema}.${table}.copy`,
  }))
  const oids = await client.query<{ name: string }>("select unnest($1::text[])::regclass::text as name", [
    tables.map(({ name }) => name),
  ])
  return inOrder(
    tables,
    oids.rows.map((row) => row.name),
    references.rows,
  )
}

function inOrder(
  tables: readonly BackupTable[],
  names: readonly string[],
  references: readonly { from: string; to: string }[],
): BackupTable[] {
  const ordered: BackupTable[] = []
  const placed = new Set<string>()
  let rest = tables.map((table, index) => ({ table, name: names[index] ?? "" }))
  while (rest.length > 0) {
    const open = new Set(rest.map(({ name }) => name))
    const ready = rest.filter(({ name }) => !references.some(({ from, to }) => from === name && open.has(to)))
    if (ready.length === 0) throw new Error(`tables refer to each other in a circle: ${[...open].join(", ")}`)
    for (const { table, name } of ready) {
      ordered.push(table)
      placed.add(name)
    }
    rest = rest.filter(({ name }) => !placed.has(name))
  }
  return ordered
}

export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** Writes it and puts it on the disk; says what the manifest says of it. */
export async function writeBackupFile(
  directory: string,
  path: string,
  source: AsyncIterable<Uint8Array | string> | Iterable<string>,
): Promise<BackupFile> {
  const to = join(directory, path)
  await mkdir(dirname(to), { recursive: true, mode: 0o700 })
  const hash = createHash("sha256")
  let sizeBytes = 0
  const count = new Transform({
    transform: (chunk: Buffer, _encoding, done) => {
      hash.update(chunk)
      sizeBytes += chunk.length
      done(null, chunk)
    },
  })
  await pipeline(source, count, createWriteStream(to, { mode: 0o600, flags: "wx" }))
  const file = await open(to, "r")
  await file.sync().finally(() => file.close())
  return { path, sizeBytes, sha256: hash.digest("hex") }
}
