// Where the state of a cloud lies: in a PostgreSQL of its own, or in the operator's, named by DATABASE_URL. Once
// chosen it stays: a cloud that seems empty because a variable was forgotten would be the worst of surprises.
import { existsSync } from "node:fs"
import { join } from "node:path"
import pg from "pg"
import { Fault } from "../platform/fault/fault.ts"
import type { Logger } from "../platform/log/log.ts"
import { type CloudDir, readJson, writeJson } from "./cloud-dir.ts"

/** What DIR/database.json keeps of the operator's database; no secret in it. */
interface DatabaseRecord {
  server: string
}

/** `HOST:PORT/DATABASE` of a connection string, without its user and password. */
export function describeDatabase(url: string): string {
  const { host, port, database } = new pg.Client({ connectionString: url })
  return `${host.startsWith("/") ? host : `${host}:${port}`}/${database ?? ""}`
}

const recordPath = (dir: CloudDir) => join(dir.path, "database.json")

/** The operator's database, or null for one of our own; throws when it is not the one that has this cloud's state. */
export function chooseDatabase(dir: CloudDir, url: string | undefined): string | null {
  const recorded = readJson<DatabaseRecord>(recordPath(dir))
  if (url && !recorded && existsSync(join(dir.postgresDir, "PG_VERSION"))) {
    throw new Fault(
      "conflict",
      "cli.database_changed",
      `The state of this cloud lies in its own PostgreSQL (${dir.postgresDir}), and DATABASE_URL names another. ` +
        "Unset DATABASE_URL, or start another cloud: --data DIR",
    )
  }
  if (!url && recorded) {
    throw new Fault(
      "precondition",
      "cli.database_missing",
      `The state of this cloud lies in PostgreSQL at ${recorded.server}. Set DATABASE_URL as at its first start.`,
    )
  }
  return url ?? null
}

/** Oldest PostgreSQL that has all that the schema uses. */
const oldestVersion = 15
const connectTimeoutMs = 10_000
/** Held while a cloud runs on the database. */
const cloudLock = "kumoi.cloud"

/** Proves that the operator's database can be used, and holds it for this cloud until disposed. */
export async function holdDatabase(dir: CloudDir, url: string, log: Logger): Promise<AsyncDisposable> {
  const server = describeDatabase(url)
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: connectTimeoutMs,
    application_name: "kumoi lock",
    keepAlive: true,
  })
  // A lost connection gives the lock back; work goes on, as every saga has a lease of its own.
  client.on("error", (error) => log.warn({ error: error.message }, "the lock on the database is lost"))
  try {
    await client.connect()
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new Fault(
      "unavailable",
      "cli.database_unreachable",
      `PostgreSQL at ${server} (DATABASE_URL) cannot be used: ${why}.`,
      { cause },
    )
  }
  try {
    await checkVersion(client, server)
    const held = await client.query("select pg_try_advisory_lock(hashtextextended($1, 0)) as is_ours", [
      cloudLock,
    ])
    if (!held.rows[0]?.is_ours) {
      throw new Fault(
        "conflict",
        "cli.database_taken",
        `Another cloud runs on PostgreSQL at ${server}. Give each cloud a database of its own.`,
      )
    }
    const record: DatabaseRecord = { server }
    writeJson(recordPath(dir), record, 0o600)
  } catch (error) {
    await client.end()
    throw error
  }
  return { [Symbol.asyncDispose]: async () => await client.end().catch(() => {}) }
}

async function checkVersion(client: pg.Client, server: string): Promise<void> {
  const found = await client.query("show server_version_num")
  const number = Number(found.rows[0]?.server_version_num)
  if (number >= oldestVersion * 10_000) return
  throw new Fault(
    "unsupported",
    "cli.database_too_old",
    `PostgreSQL at ${server} is version ${Math.floor(number / 10_000)}; ${oldestVersion} or newer is needed.`,
  )
}
