// A cloud to measure, through its command line and its API only.
import { execFile } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { promisify } from "node:util"

const root = resolve(import.meta.dirname, "..")
const kumoi = join(root, "kumoi")
const runFile = promisify(execFile)

export interface BenchCloud extends AsyncDisposable {
  url: string
  dataDir: string
  passwords: { admin: string; demo: string }
  /** Seconds of `up` until an authenticated request works. */
  coldStartSeconds: number
  restart(): Promise<number>
  status(): Promise<{
    memoryBytes: number
    components: { name: string; pid: number | null; memoryBytes: number }[]
  }>
}

export async function startBenchCloud(flags: readonly string[], port: number): Promise<BenchCloud> {
  const dataDir = mkdtempSync(join(tmpdir(), "kumoi-bench-"))
  const up = async () => {
    const startedMs = performance.now()
    await runFile(kumoi, ["up", "--detach", "--yes", "--data", dataDir, "--port", String(port), ...flags], {
      timeout: 300_000,
    })
    return (performance.now() - startedMs) / 1000
  }
  const down = (...more: string[]) =>
    runFile(kumoi, ["down", "--data", dataDir, "--grace", "0", ...more], { timeout: 300_000 })
  const coldStartSeconds = await up()
  return {
    url: `http://127.0.0.1:${port}`,
    dataDir,
    passwords: JSON.parse(readFileSync(join(dataDir, "passwords.json"), "utf8")),
    coldStartSeconds,
    async restart() {
      await down()
      return await up()
    },
    async status() {
      return JSON.parse((await runFile(kumoi, ["status", "--json", "--data", dataDir])).stdout)
    },
    async [Symbol.asyncDispose]() {
      await down("--purge")
      rmSync(dataDir, { recursive: true, force: true })
    },
  }
}
