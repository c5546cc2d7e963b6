// Where the state of a cloud lies: in a PostgreSQL of its own, or in the operator's, named by DATABASE_URL. Once
// chosen it stays: a cloud that seems empty because a variable was forgotten would be the worst of surprises.
import { existsSync } from "node:fs"
import { join } from "node:path"
import pg from "pg"
import { Fault } from "../platform/fault/fault.ts"
import { type CloudDir, readJson, writeJson } from "./cloud-dir.ts"
import { type HeldLock, type LockOptions, LockSeeker } from "./control-host/lock.ts"

/** What DIR/database.json keeps of the operator's database; no secret in it. */
interface DatabaseRecord {
  server: string
}

/** `HOST:PORT/DATABASE` of a connection string, without its user and password. */
export function describeDatabase(url: string): string {
  const { host, port, database } = new pg.Client({ connectionString: url })
  return `${host.startsWith("/") ? host : `${host}:${port}`}/${database ?? ""}`
}

const recordPath = (dir: Pick<CloudDir, "path">) => join(dir.path, "database.json")

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

/** Proves that the operator's database can be used, and holds it for this cloud until disposed. */
export async function holdDatabase(dir: CloudDir, how: LockOptions): Promise<HeldLock> {
  const server = describeDatabase(how.url)
  await using seeker = await openDatabaseLock(how)
  const held = await seeker.take()
  if (held) {
    recordDatabase(dir, how.url)
    return held
  }
  throw new Fault(
    "conflict",
    "cli.database_taken",
    `Another cloud runs on PostgreSQL at ${server}. Give each cloud a database of its own.`,
  )
}

/** As above, and has nothing of it yet. */
export async function openDatabaseLock(how: LockOptions): Promise<LockSeeker> {
  const server = describeDatabase(how.url)
  const seeker = new LockSeeker(how)
  try {
    await checkVersion(await seeker.connected(), server)
  } catch (cause) {
    await seeker[Symbol.asyncDispose]()
    if (cause instanceof Fault) throw cause
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new Fault(
      "unavailable",
      "cli.database_unreachable",
      `PostgreSQL at ${server} (DATABASE_URL) cannot be used: ${why}.`,
      { cause },
    )
  }
  return seeker
}

/** From then on the cloud of this directory is on it. */
export function recordDatabase(dir: Pick<CloudDir, "path">, url: string): void {
  const record: DatabaseRecord = { server: describeDatabase(url) }
  writeJson(recordPath(dir), record, 0o600)
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
