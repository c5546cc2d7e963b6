// A whole database out and in again.
import assert from "node:assert/strict"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, test } from "node:test"
import pg from "pg"
import { openEmptyDatabase, openTestDatabase } from "../../../test/database.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { beginSnapshot, dumpDatabase } from "./dump.ts"
import { checkIsEmpty, loadDatabase } from "./load.ts"
import { checkPath, checkSchema, type Manifest, manifestFormat, verifyFiles } from "./manifest.ts"

const root = mkdtempSync(join(tmpdir(), "kumoi-dump-"))
after(() => rmSync(root, { recursive: true }))

async function connect(connectionString: string): Promise<pg.Client & AsyncDisposable> {
  const client = new pg.Client({ connectionString })
  await client.connect()
  return Object.assign(client, { [Symbol.asyncDispose]: () => client.end() })
}

async function dump(client: pg.Client, directory: string): Promise<Manifest> {
  const { files, ...database } = await dumpDatabase(client, directory)
  return {
    ...{ format: manifestFormat, version: "test", createdAt: new Date().toISOString(), cloudId: "0" },
    ...database,
    files,
    images: { count: 0, sizeBytes: 0, areIncluded: false, missing: 0 },
  }
}

/** Everything that is in the tables, as text. */
async function contentsOf(client: pg.Client, manifest: Manifest): Promise<Record<string, string>> {
  const contents: Record<string, string> = {}
  for (const { name, columns } of manifest.tables) {
    if (name === '"platform"."cloud"') continue
    const row = columns.map((column) => `"${column}"`).join(", ")
    const { rows } = await client.query(
      `select coalesce(string_agg(t, '|' order by t), '') as text from (select row(${row})::text as t from ${name}) x`,
    )
    contents[name] = rows[0].text
  }
  return contents
}

test("a database comes back as it was at one moment, with its sequences, in a higher epoch", async () => {
  await using database = await openTestDatabase()
  await using client = await connect(database.connectionString)
  // Texts that a careless form of COPY would not survive, a self reference, an identity column, arrays and bytes.
  const text = 'tab\t line\n back\\slash \\N \\. "quoted" ü €'
  const [first, second] = [newUuid(), newUuid()]
  const insert = (id: string, name: string) =>
    database.pool.query(
      `insert into image.image (id, project_id, name, status, visibility, properties, tags, created_at, updated_at)
       values ($1, 'p', $2, 'queued', 'private', $3, $4, now(), now())`,
      [id, name, JSON.stringify({ text }), [text, "{}", ""]],
    )
  await insert(first, text)
  await beginSnapshot(client)
  await client.query("select 1 from image.image")
  await insert(second, "after the snapshot")
  const directory = join(root, "one")
  const manifest = await dump(client, directory)
  const before = await contentsOf(client, manifest)
  await client.query("commit")
  await verifyFiles(directory, manifest)
  await checkSchema(manifest)

  await using target = await openEmptyDatabase()
  await checkIsEmpty(target.connectionString, "the target")
  const epoch = await loadDatabase(target.connectionString, directory, manifest, {
    epochAbove: 9_000_000_000,
  })
  assert.equal(epoch, 9_000_000_001)
  await using restored = await connect(target.connectionString)
  assert.deepEqual(await contentsOf(restored, manifest), before)
  const { rows } = await restored.query("select id, name, properties->>'text' as p, tags from image.image")
  assert.deepEqual(rows, [{ id: first, name: text, p: text, tags: [text, "{}", ""] }])
  const after = await restored.query<{ name: string; value: string }>(`
    select format('%I.%I', schemaname, sequencename) as name, last_value::float8 as value from pg_sequences
    where last_value is not null order by 1`)
  assert.deepEqual(after.rows, manifest.sequences)
  await assert.rejects(checkIsEmpty(target.connectionString, "the target"), /has the state of a cloud/)
})

test("what is damaged, newer than the program or strange is refused by name", async () => {
  await using database = await openTestDatabase()
  await using client = await connect(database.connectionString)
  await beginSnapshot(client)
  const manifest = await dump(client, join(root, "two"))
  const [file] = manifest.files
  const changed = (over: object) => ({ ...manifest, files: [{ ...file, ...over }] }) as Manifest
  const check = (over: object) => verifyFiles(join(root, "two"), changed(over))
  await assert.rejects(check({ sha256: "0" }), /is not what was written/)
  await assert.rejects(check({ sizeBytes: -1 }), /instead of -1/)
  await assert.rejects(check({ path: "database/none.copy" }), /is missing/)
  for (const path of ["../x", "/etc/passwd", "a/../../x", ""]) assert.throws(() => checkPath(path), /strange/)
  const newer = { ...manifest, migrations: [{ name: "compute/9999_future", checksum: "0" }] }
  await assert.rejects(checkSchema(newer), /compute\/9999_future, which this program does not know/)
  const [migration] = manifest.migrations
  const other = { ...manifest, migrations: [{ name: migration?.name ?? "", checksum: "0" }] }
  await assert.rejects(checkSchema(other), /has in another form/)
})
