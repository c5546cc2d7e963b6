// A cloud for black-box tests, and the stock clients against it. Imports nothing of the server: only `./kumoi` is run.
// A real network runs inside a network namespace of its own, so that a test can neither meet nor disturb the networks
// of the machine, and every leftover shows. A simulated one needs none: it only listens on the loopback address.
import { execFile, spawn } from "node:child_process"
import { randomBytes } from "node:crypto"
import { existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs"
import { type AddressInfo, createServer } from "node:net"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { setTimeout as delay } from "node:timers/promises"

const root = resolve(import.meta.dirname, "..")

export interface RunResult {
  stdout: string
  stderr: string
  exitCode: number
}

export interface TestCloudOptions {
  hypervisor: "qemu" | "fake"
  network: "ovn" | "fake"
  /** Where its data directory is made; the temporary directory by default. */
  parentDir?: string
  /** Further flags of `kumoi up`. */
  flags?: string[]
  /** Bridges inside its namespace, each with its address and prefix length, or null for none. */
  bridges?: Readonly<Record<string, string | null>>
  /** Where the program lies; this tree by default. */
  tree?: string
  /** In a network namespace of its own, also with a simulated network. */
  isApart?: boolean
  /** Further variables for `kumoi`, on all hosts. */
  env?: Record<string, string>
}

/** For ssh to guests: their host keys are new each time, and nobody is there to be asked. It says what it does, for who
 * reads of one that failed. */
export const sshOptions = [
  "LogLevel=DEBUG1",
  "StrictHostKeyChecking=no",
  "UserKnownHostsFile=/dev/null",
  "ConnectTimeout=5",
  "BatchMode=yes",
].flatMap((option) => ["-o", option])

export const isRoot = process.getuid?.() === 0

/** Runs a program to its end; an exit code other than 0 throws unless `isChecked` is false. */
export function run(
  file: string,
  args: readonly string[],
  options: { timeoutMs?: number; isChecked?: boolean; env?: Record<string, string>; input?: string } = {},
): Promise<RunResult> {
  return new Promise((done, fail) => {
    const child = execFile(
      file,
      args,
      {
        timeout: options.timeoutMs ?? 120_000,
        maxBuffer: 64 * 1024 * 1024,
        env: { ...process.env, ...options.env },
        killSignal: "SIGKILL",
      },
      (error, stdout, stderr) => {
        const exitCode = error ? (typeof error.code === "number" ? error.code : -1) : 0
        if (error && options.isChecked !== false) {
          fail(
            new Error(
              `${file} ${args.join(" ")}\nexit ${exitCode}${error.killed ? " (took too long)" : ""}\n${stdout}\n${stderr}`,
            ),
          )
        } else done({ stdout, stderr, exitCode })
      },
    )
    // A program that ends early closes its input; that is its affair.
    child.stdin?.on("error", () => {})
    child.stdin?.end(options.input ?? "")
  })
}

/** How long to wait for what must come: only ends what never would, so that a busy machine does not reach it. */
const patienceMs = 300_000

/** Waits until `condition` gives something truthy; throws with `what` and the last error after `timeoutMs`. */
export async function eventually<T>(
  what: string,
  condition: () => Promise<T | false | undefined | null>,
  options: { everyMs?: number; timeoutMs?: number } = {},
): Promise<T> {
  const { timeoutMs = patienceMs } = options
  const end = performance.now() + timeoutMs
  let last: unknown
  while (performance.now() < end) {
    try {
      const value = await condition()
      if (value) return value
    } catch (error) {
      last = error
    }
    await delay(options.everyMs ?? 200)
  }
  throw new Error([`waited ${timeoutMs} ms for ${what}`, ...complaints()].join("\n"), { cause: last })
}

/** Clouds of this process that were started and not ended. */
const there = new Set<TestCloud>()
const complaintsMost = 40
const complaintLengthMost = 400

/** What the clouds' logs last said of errors, so that a wait in vain explains itself where only its output is left. */
function complaints(): string[] {
  return [...there].flatMap(({ dataDir }) => {
    const file = join(dataDir, "log/kumoi.log")
    const lines = existsSync(file) ? readFileSync(file, "utf8").split("\n") : []
    return [`what ${dataDir} complained of:`, ...lines.flatMap(complaint).slice(-complaintsMost)]
  })
}

function complaint(line: string): string[] {
  try {
    const { level, time, msg, err, error, pid: _, hostname: __, ...facts } = JSON.parse(line)
    if (level < 40 && !err && !error) return []
    return [
      `${time} ${msg} ${error ?? err?.message ?? ""} ${JSON.stringify(facts)}`.slice(0, complaintLengthMost),
    ]
  } catch {
    return [] // cut short by the end of its process
  }
}

/** A port that nobody listens on now. */
export async function freePort(): Promise<number> {
  const probe = createServer()
  await new Promise<void>((done) => probe.listen(0, "127.0.0.1", done))
  const { port } = probe.address() as AddressInfo
  await new Promise((done) => probe.close(done))
  return port
}

function isApart(options: TestCloudOptions): boolean {
  return options.network === "ovn" || options.isApart === true
}

export class TestCloud implements AsyncDisposable {
  readonly dataDir: string
  readonly port: number
  readonly #namespace: string | null
  readonly #options: TestCloudOptions
  /** Where the program lies that its commands are said to; a test of upgrades changes it. */
  tree: string

  private constructor(options: TestCloudOptions, port: number) {
    this.tree = options.tree ?? root
    this.#options = options
    this.dataDir = mkdtempSync(join(options.parentDir ?? tmpdir(), "kumoi-acceptance-"))
    this.#namespace = isApart(options) ? `kumoi-test-${randomBytes(3).toString("hex")}` : null
    this.port = port
  }

  /** Whether it is reached only from within its network namespace: by `inside`. */
  get isApart(): boolean {
    return this.#namespace !== null
  }

  static async start(options: TestCloudOptions): Promise<TestCloud> {
    // Inside an own namespace any port is free.
    const cloud = new TestCloud(options, isApart(options) ? 5000 : await freePort())
    try {
      if (cloud.#namespace) {
        await run("ip", ["netns", "add", cloud.#namespace])
        await run("ip", ["-n", cloud.#namespace, "link", "set", "lo", "up"])
        for (const [name, address] of Object.entries(options.bridges ?? {}))
          await cloud.#makeBridge(name, address)
      }
      await cloud.up()
      there.add(cloud)
      return cloud
    } catch (error) {
      await cloud[Symbol.asyncDispose]()
      throw error
    }
  }

  async #makeBridge(name: string, address: string | null): Promise<void> {
    await this.inside("ip", ["link", "add", name, "type", "bridge"])
    if (address !== null) await this.inside("ip", ["address", "add", address, "dev", name])
    await this.inside("ip", ["link", "set", name, "up"])
  }

  /** Where it runs; null: in no namespace of its own. */
  get namespace(): string | null {
    return this.#namespace
  }

  /** `kumoi up --detach` with this cloud's options and these; returns what it printed. */
  async up(...more: string[]): Promise<string> {
    const { hypervisor, network, flags = [] } = this.#options
    const args = [
      "--detach",
      "--yes",
      "--port",
      String(this.port),
      "--hypervisor",
      hypervisor,
      "--network",
      network,
      ...flags,
      ...more,
    ]
    return (await this.kumoi("up", ...args)).stdout
  }

  kumoi(command: string, ...args: string[]): Promise<RunResult> {
    const { env } = this
    return this.inside(join(this.tree, "kumoi"), [command, "--data", this.dataDir, ...args], {
      ...{ timeoutMs: 300_000, env },
    })
  }

  get env(): Record<string, string> {
    return this.#options.env ?? {}
  }

  async status(): Promise<CloudStatus> {
    const asked = [`status`, "--data", this.dataDir, "--json"]
    const { stdout } = await this.inside(join(this.tree, "kumoi"), asked, { isChecked: false })
    return JSON.parse(stdout)
  }

  /** One engine, service or process of `status --json`. */
  async component(name: string): Promise<Component | undefined> {
    return (await this.status()).components.find((c) => c.name === name)
  }

  /** Runs a program where the cloud runs. */
  inside(file: string, args: readonly string[], options: Parameters<typeof run>[2] = {}): Promise<RunResult> {
    return this.#namespace
      ? run("ip", ["netns", "exec", this.#namespace, file, ...args], options)
      : run(file, args, options)
  }

  /** Starts a program where the cloud runs, and leaves it running. */
  spawnInside(file: string, args: readonly string[]) {
    const [program, ...rest] = this.#namespace
      ? ["ip", "netns", "exec", this.#namespace, file, ...args]
      : [file, ...args]
    return spawn(program ?? file, rest, { stdio: ["ignore", "pipe", "pipe"] })
  }

  /** The stock client, as a user of the cloud. */
  async openstack(user: "admin" | "demo", ...args: string[]): Promise<string> {
    const env = { OS_CLIENT_CONFIG_FILE: join(this.dataDir, "clouds.yaml") }
    return (await this.inside("openstack", ["--os-cloud", `kumoi-${user}`, ...args], { env })).stdout.trim()
  }

  async openstackJson<T>(user: "admin" | "demo", ...args: string[]): Promise<T> {
    return JSON.parse(await this.openstack(user, ...args, "-f", "json"))
  }

  /** Pid of the process that runs the cloud. */
  async mainPid(): Promise<number> {
    const main = await this.component("kumoi")
    if (!main?.pid) throw new Error("the cloud does not run")
    return main.pid
  }

  /** kill -9 of the process that runs the cloud, and of its parent, which would start it again. */
  async killForGood(): Promise<void> {
    const { components } = await this.status()
    for (const name of ["parent", "kumoi"]) {
      const pid = components.find((c) => c.name === name)?.pid
      if (!pid) throw new Error(`the cloud has no ${name}`)
      process.kill(pid, "SIGKILL")
    }
  }

  /** Everything of this cloud that is on the machine now, but for its files. */
  async traces(): Promise<string[]> {
    const { cloudId } = JSON.parse(readFileSync(join(this.dataDir, "cloud.json"), "utf8"))
    const found = processesOf(this.dataDir, `kumoi-${cloudId}`)
    if (!this.#namespace) return found
    const lines = async (file: string, ...args: string[]) =>
      (await this.inside(file, args)).stdout.split("\n").filter(Boolean)
    const links = await lines("ip", "-o", "link")
    const own = (line: string) => line.includes(cloudId)
    found.push(...links.filter((l) => !l.includes(" lo: ")))
    const { stdout: inside } = await run("ip", ["netns", "pids", this.#namespace])
    found.push(
      ...inside
        .split("\n")
        .filter(Boolean)
        .map((pid) => `process ${pid} in the namespace`),
    )
    found.push(...(await lines("ip", "netns", "list")).filter(own))
    found.push(...(await lines("nft", "list", "tables")))
    found.push(...readFileSync("/proc/self/mounts", "utf8").split("\n").filter(own))
    return found
  }

  async [Symbol.asyncDispose](): Promise<void> {
    there.delete(this)
    await this.inside(join(this.tree, "kumoi"), ["down", "--data", this.dataDir, "--grace", "0", "--purge"], {
      timeoutMs: 180_000,
      isChecked: false,
    })
    if (this.#namespace) await run("ip", ["netns", "delete", this.#namespace], { isChecked: false })
    rmSync(this.dataDir, { recursive: true, force: true })
  }
}

export interface Component {
  name: string
  kind: string
  state: string
  pid: number | null
  restarts: number
}

export interface CloudStatus {
  state: string
  url: string | null
  components: Component[]
}

/** Processes that name one of these texts (a directory, an id) in their command line, or work below it. */
export function processesOf(...names: string[]): string[] {
  const found: string[] = []
  for (const pid of readdirSync("/proc").filter(
    (name) => /^\d+$/.test(name) && Number(name) !== process.pid,
  )) {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").join(" ").trim()
      const where = `${command} ${readlinkSync(`/proc/${pid}/cwd`)}`
      if (names.some((name) => where.includes(name))) found.push(`${pid} ${command}`)
    } catch {
      // It has ended meanwhile.
    }
  }
  return found
}
