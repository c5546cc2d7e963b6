// Writes the rows of a backup into an empty database, in one transaction, and begins the next epoch in it.
import { randomUUID } from "node:crypto"
import { createReadStream } from "node:fs"
import { join } from "node:path"
import pg from "pg"
import { copyIn } from "../../platform/db/copy.ts"
import { migrate } from "../../platform/db/migrate.ts"
import { Fault } from "../../platform/fault/fault.ts"
import { quoted } from "./dump.ts"
import { checkPath, type Manifest } from "./manifest.ts"

/** Throws unless nothing of a cloud is in it: what is there is not ours to overwrite. */
export async function checkIsEmpty(url: string, name: string): Promise<void> {
  await withClient(url, async (client) => {
    const found = await client.query("select to_regclass('platform.migration') as migration")
    if (found.rows[0]?.migration === null) return
    throw new Fault(
      "conflict",
      "cli.database_not_empty",
      `The database ${name} has the state of a cloud. Name a new, empty one in DATABASE_URL.`,
    )
  })
}

export interface LoadOptions {
  /** Epochs that hosts are known to have been in: the new one is above them. */
  epochAbove: number
}

/** Resolves with the number of the epoch that begins. */
export async function loadDatabase(
  url: string,
  directory: string,
  manifest: Manifest,
  options: LoadOptions,
): Promise<number> {
  // The schema as it was, then the rows, then what has been added to the schema since.
  await migrate(url, { only: new Set(manifest.migrations.map(({ name }) => name)) })
  const epoch = await withClient(url, async (client) => {
    await client.query("set statement_timeout = 0")
    await client.query("begin")
    // Migrations leave rows as well.
    await client.query(`truncate ${manifest.tables.map(({ name }) => name).join(", ")}`)
    for (const { name, columns, path } of manifest.tables) {
      const rows = createReadStream(join(directory, checkPath(path)), { highWaterMark: 256 * 1024 })
      await copyIn(client, `copy ${name} (${columns.map(quoted).join(", ")}) from stdin`, rows)
    }
    for (const { name, value } of manifest.sequences) {
      await client.query("select setval($1::text::regclass, $2)", [name, value])
    }
    const raised = await client.query<{ epoch: string }>(
      `update platform.cloud set epoch_id = $1, began_at = now(),
         epoch = greatest(epoch + 1, $2::bigint + 1, extract(epoch from now())::bigint) returning epoch`,
      [randomUUID(), options.epochAbove],
    )
    await client.query("commit")
    return Number(raised.rows[0]?.epoch)
  })
  await migrate(url)
  return epoch
}

async function withClient<T>(url: string, run: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url })
  // A connection that breaks fails the statement under way; its event alone would end the process.
  client.on("error", () => {})
  await client.connect()
  try {
    return await run(client)
  } finally {
    await client.end().catch(() => {})
  }
}
