// A cloud to measure, started and stopped by `./kumoi` as any user would.
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { type AddressInfo, createServer } from "node:net"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { setTimeout as delay } from "node:timers/promises"
import { call, logIn } from "./client.ts"
import { type RunOptions, run } from "./command.ts"
import type { Held } from "./held.ts"

const kumoi = resolve(import.meta.dirname, "../kumoi")
const longMs = 300_000
const fleetMs = 900_000

export interface CloudOptions {
  hypervisor: "fake" | "qemu"
  network: "fake" | "ovn"
  /** One of its own below the temporary directory when none is given. */
  dataDir?: string
}

interface CloudStatus {
  components: { name: string; pid: number | null }[]
}

export class BenchCloud {
  readonly url: string
  readonly dataDir: string
  readonly #flags: readonly string[]
  #starting: Promise<unknown> = Promise.resolve()
  #roots: Map<number, string> | undefined

  private constructor(dataDir: string, port: number, { hypervisor, network }: CloudOptions) {
    this.url = `http://127.0.0.1:${port}`
    this.dataDir = dataDir
    const drivers = ["--hypervisor", hypervisor, "--network", network]
    this.#flags = ["--detach", "--yes", "--port", String(port), ...drivers]
  }

  /** Nothing is started yet; what will be is gone when `held` ends. */
  static async prepare(held: Held, options: CloudOptions): Promise<BenchCloud> {
    const port = await freePort()
    let dataDir = options.dataDir ?? ""
    held.defer(() => dataDir && rmSync(dataDir, { recursive: true, force: true }))
    dataDir ||= mkdtempSync(join(tmpdir(), "kumoi-bench-"))
    const cloud = new BenchCloud(dataDir, port, options)
    held.defer(() => cloud.#purge())
    return cloud
  }

  /** Seconds from `kumoi up` until the first authenticated request was answered. */
  async start(options: RunOptions = {}): Promise<number> {
    const startedMs = performance.now()
    this.#starting = this.#kumoi("up", this.#flags, options)
    await this.#starting.catch((error: unknown) => {
      throw new Error(`${error instanceof Error ? error.message : error}\n${this.#lastWords()}`)
    })
    const session = await logIn(this.url, "admin", this.passwords.admin, "admin")
    await call(session, "GET", "/compute/v2.1/servers")
    return (performance.now() - startedMs) / 1000
  }

  /** Simulated hosts; when it returns all of them are up. */
  async addFleet(count: number): Promise<void> {
    const options = { timeoutMs: fleetMs }
    this.#roots = undefined
    await this.#kumoi("fleet", ["add", String(count)], options)
    const endMs = performance.now() + fleetMs
    for (;;) {
      const { up }: { up: number } = JSON.parse(await this.#kumoi("fleet", ["list", "--json"], options))
      if (up >= count) return
      if (performance.now() > endMs) throw new Error(`${up} of ${count} hosts are up`)
      await delay(1_000)
    }
  }

  async stop(): Promise<void> {
    this.#roots = undefined
    await this.#kumoi("down", ["--grace", "0"])
  }

  get passwords(): { admin: string; demo: string } {
    return JSON.parse(readFileSync(join(this.dataDir, "passwords.json"), "utf8"))
  }

  /** Eight letters that are in the names of all that the cloud makes outside its directory. */
  get id(): string {
    return JSON.parse(readFileSync(join(this.dataDir, "cloud.json"), "utf8")).cloudId
  }

  /** Process and name of each component, as the cloud says. */
  async rootProcesses(): Promise<Map<number, string>> {
    if (!this.#roots) {
      const { components }: CloudStatus = JSON.parse(await this.#kumoi("status", ["--json"]))
      this.#roots = new Map(components.flatMap(({ name, pid }) => (pid === null ? [] : [[pid, name]])))
    }
    return this.#roots
  }

  async #kumoi(command: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
    return await run(kumoi, [command, "--data", this.dataDir, ...args], { timeoutMs: longMs, ...options })
  }

  /** The directory goes with the run. */
  #lastWords(): string {
    try {
      return readFileSync(join(this.dataDir, "log/kumoi.out"), "utf8").slice(-2_000)
    } catch {
      return ""
    }
  }

  /** Not in the middle of a start: its process may not have noted yet that it is there. */
  async #purge(): Promise<void> {
    await this.#starting.catch(() => {})
    await this.#kumoi("down", ["--grace", "0", "--purge"])
  }
}

async function freePort(): Promise<number> {
  const probe = createServer()
  await new Promise<void>((done) => probe.listen(0, "127.0.0.1", done))
  const address = probe.address() as AddressInfo | null
  await new Promise((done) => probe.close(done))
  if (!address) throw new Error("no free port")
  return address.port
}
