// `kumoi test`: all tests, or some suites. Installs what they need, as `up` does.
import { spawn } from "node:child_process"
import { once } from "node:events"
import { glob, readFile } from "node:fs/promises"
import { type AddressInfo, createServer, type Socket } from "node:net"
import { join } from "node:path"
import { guestCacheDir } from "./guest-image.ts"
import { command, type OptionSpecs } from "./options.ts"
import {
  backEndPackages,
  enginePackages,
  guestHardwarePackages,
  installPackages,
  type NeededPackage,
} from "./packages.ts"

const root = join(import.meta.dirname, "../../..")

const hostPackages: readonly NeededPackage[] = Object.values(enginePackages).flat()
const processPackages: readonly NeededPackage[] = [
  { name: "procps", why: "looks for processes left over" },
  { name: "curl", why: "asks clouds that have a network of their own" },
]
/** Volumes over the network, as QEMU and another Debian program have them. */
const iscsiPackages: readonly NeededPackage[] = [...backEndPackages.iscsi, ...backEndPackages.iscsiTarget]
const gitPackages: readonly NeededPackage[] = [
  { name: "git", why: "has the commits that a program may be of" },
]
/** A loader that is signed, and the disk that firmware starts it from. */
const signedPackages: readonly NeededPackage[] = [
  { name: "shim-signed", why: "is what firmware with Microsoft's keys starts" },
  { name: "shim-unsigned", why: "is the same without a signature" },
  { name: "mtools", why: "writes them to a disk" },
]
const sshPackages: readonly NeededPackage[] = [{ name: "openssh-client", why: "logs into guests" }]
const clientPackages: readonly NeededPackage[] = [
  { name: "python3-openstackclient", why: "the stock client" },
  ...sshPackages,
  { name: "iputils-ping", why: "pings guests" },
  { name: "netcat-openbsd", why: "looks at ports of guests" },
  ...processPackages,
]

interface Suite {
  summary: string
  /** Debian packages without which its tests fail. */
  packages: readonly NeededPackage[]
  /** Globs from the root; a file belongs to the first suite that names it. */
  files: readonly string[]
  /** Runs beside those that do not. */
  bootsMachines?: true
  /** Test files at a time; of one that boots machines only one as long as the others run. */
  concurrency: number
  /** Milliseconds for one test at the most. */
  timeoutMs: number
}

const busPackages = [{ name: "rabbitmq-server", why: "the bus of many hosts is tested on it" }]

const suites: Record<string, Suite> = {
  check: {
    summary: "types, lint, layering and other rules of the tree",
    packages: [],
    files: ["tools/*.test.ts"],
    concurrency: 2,
    timeoutMs: 900_000,
  },
  db: {
    summary: "stores on a real PostgreSQL",
    packages: enginePackages.qemu,
    files: ["server/src/**/*.db.test.ts"],
    concurrency: 2,
    timeoutMs: 600_000,
  },
  host: {
    summary: "engines of this host: QEMU, OVN, RabbitMQ",
    packages: [
      ...hostPackages,
      ...processPackages,
      ...iscsiPackages,
      ...busPackages,
      { name: "openssl", why: "makes the certificates of the network's hosts" },
    ],
    files: ["server/src/**/*.host.test.ts"],
    bootsMachines: true,
    concurrency: 1,
    timeoutMs: 900_000,
  },
  slow: {
    summary: "foreign guests, a browser, Ceph, what measures time; not part of a plain run",
    packages: [
      ...hostPackages,
      ...clientPackages,
      ...backEndPackages.rbd,
      ...iscsiPackages,
      ...gitPackages,
      ...guestHardwarePackages,
      ...signedPackages,
      ...busPackages,
      { name: "ceph-mon", why: "a small Ceph for volumes" },
      { name: "ceph-mgr", why: "as above" },
      { name: "ceph-osd", why: "as above" },
      { name: "debootstrap", why: "makes a Debian image to boot" },
      { name: "chromium", why: "opens consoles as a person does" },
    ],
    // Before the suites whose globs are wider.
    files: ["acceptance/slow/*.test.ts", "server/src/**/*.slow.test.ts"],
    bootsMachines: true,
    concurrency: 1,
    timeoutMs: 1_800_000,
  },
  unit: {
    summary: "pure code",
    packages: [...hostPackages, ...sshPackages, ...iscsiPackages, ...gitPackages, ...guestHardwarePackages],
    files: ["server/src/**/*.test.ts", "bench/*.test.ts"],
    concurrency: 2,
    timeoutMs: 600_000,
  },
  server: {
    summary: "the whole control plane over HTTP, fake drivers",
    packages: enginePackages.qemu,
    files: ["server/test/*.test.ts"],
    concurrency: 2,
    timeoutMs: 900_000,
  },
  guest: {
    summary: "the small guest image",
    packages: [...hostPackages, ...sshPackages],
    files: ["guest/*.test.ts"],
    bootsMachines: true,
    concurrency: 1,
    timeoutMs: 900_000,
  },
  acceptance: {
    summary: "a real cloud by the stock clients",
    packages: [
      ...hostPackages,
      ...clientPackages,
      { name: "tempest", why: "the suite that clouds are tested with" },
    ],
    files: ["acceptance/*.test.ts"],
    bootsMachines: true,
    concurrency: 2,
    timeoutMs: 900_000,
  },
}

const specs = {
  only: {
    type: "string",
    value: "REGEX",
    help: "tests whose name matches, in the files where the name is written",
  },
  yes: { type: "boolean", help: "install missing Debian packages without asking" },
} as const satisfies OptionSpecs

function helpOfSuites(): string {
  const rows = Object.entries(suites).map(([name, s]) => `  ${name.padEnd(12)} ${s.summary}`)
  return `Runs the tests.\n\nsuites:\n${rows.join("\n")}`
}

const about = { usage: "test [suite ...] [options]", what: helpOfSuites(), specs, takesWords: true }

export const test = command(about, async (options) => {
  const unknown = options.positionals.filter((name) => !Object.hasOwn(suites, name))
  if (unknown.length > 0) {
    process.stderr.write(
      `kumoi: no suite ${unknown.join(", ")}; suites are ${Object.keys(suites).join(", ")}.\n`,
    )
    return 2
  }
  const chosen =
    options.positionals.length > 0 ? options.positionals : Object.keys(suites).filter((n) => n !== "slow")
  if (process.getuid?.() === 0) {
    const wanted = new Set(chosen.flatMap((name) => suites[name]?.packages ?? []))
    await installPackages([...wanted], {
      say: (line) => process.stdout.write(`${line}\n`),
      isYes: options.flag("yes") || process.env.CI === "true",
    })
  }
  if (
    chosen.some((name) => ["acceptance", "guest", "host", "slow"].includes(name)) &&
    process.getuid?.() === 0
  ) {
    // Before the tests go into namespaces of their own, from where no package can be fetched.
    const { buildGuestImage } = await import("../../../guest/build.ts")
    await buildGuestImage({ outputDir: guestCacheDir(), log: (line) => process.stdout.write(`${line}\n`) })
  }
  return await runSuites(chosen, options.text("only"))
})

/** A suite that was asked for, with its files. */
interface Chosen {
  name: string
  suite: Suite
  files: string[]
}

/**
 * Two rows of suites side by side: those that boot machines mostly wait for them, and leave a core to the others. The
 * first row prints as it goes; what a suite of the second says is printed whole at its end.
 */
async function runSuites(names: readonly string[], only: string | undefined): Promise<number> {
  const { startTestPostgres } = await import("../../test/database.ts")
  await using postgres = await startTestPostgres()
  await using turns = await Turns.open()
  const chosen = await chooseFiles(names, only)
  const [others = [], machines = []] = [false, true].map((bootsMachines) =>
    chosen.filter(({ suite }) => (suite.bootsMachines ?? false) === bootsMachines),
  )
  const run = async (row: readonly Chosen[], how: { isStreamed: boolean; turnsPort?: number }) => {
    const codes: number[] = []
    for (const each of row) codes.push(await runNodeTests(each, only, { databaseUrl: postgres.url, ...how }))
    return codes
  }
  const codes = await Promise.all([
    run(others, { isStreamed: true }).finally(() => turns.allow(machinesAlone)),
    run(machines, { isStreamed: others.length === 0, turnsPort: turns.port }),
  ])
  return codes.flat().find((code) => code !== 0) ?? 0
}

/** Files that boot machines, at a time, when nothing else is tested any more: they mostly wait. */
const machinesAlone = 2

/**
 * Turns of test files: a file's process asks for one when it begins (server/test/turn.ts), and has it until it ends.
 * So there are more of them at a time when the other row is over, in the middle of a suite.
 */
class Turns implements AsyncDisposable {
  readonly #server = createServer((socket) => this.#ask(socket))
  readonly #waiting = new Set<Socket>()
  #had = 0
  #most = 1

  static async open(): Promise<Turns> {
    const turns = new Turns()
    turns.#server.listen(0, "127.0.0.1")
    await once(turns.#server, "listening")
    return turns
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port // it listens on a port and not on a path
  }

  /** So many at a time from now on. */
  allow(most: number): void {
    this.#most = most
    this.#give()
  }

  #ask(socket: Socket): void {
    this.#waiting.add(socket)
    // A process that is killed breaks it.
    socket.on("error", () => {})
    socket.once("close", () => {
      if (!this.#waiting.delete(socket)) this.#had--
      this.#give()
    })
    this.#give()
  }

  #give(): void {
    for (const socket of this.#waiting) {
      if (this.#had >= this.#most) return
      this.#waiting.delete(socket)
      this.#had++
      socket.write("now")
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise((closed) => this.#server.close(closed))
  }
}

async function chooseFiles(names: readonly string[], only: string | undefined): Promise<Chosen[]> {
  const claimed = new Set<string>()
  const chosen: Chosen[] = []
  for (const [name, suite] of Object.entries(suites)) {
    const files: string[] = []
    for await (const file of glob([...suite.files], {
      cwd: root,
      exclude: (f) => f.includes("node_modules"),
    })) {
      if (!claimed.has(file)) files.push(file)
      claimed.add(file)
    }
    if (!names.includes(name)) continue
    const wanted = only ? await filesWith(files, new RegExp(only)) : files
    if (wanted.length > 0) chosen.push({ name, suite, files: wanted.sort() })
  }
  return chosen
}

/** Of these, the ones in which the pattern occurs: the others would be set up for nothing. */
async function filesWith(files: readonly string[], pattern: RegExp): Promise<string[]> {
  const found = await Promise.all(
    files.map(async (file) => pattern.test(await readFile(join(root, file), "utf8"))),
  )
  return files.filter((_file, index) => found[index])
}

const turnModule = join(root, "server/test/turn.ts")

function runNodeTests(
  { name, suite, files }: Chosen,
  only: string | undefined,
  how: { databaseUrl: string; isStreamed: boolean; turnsPort?: number },
): Promise<number> {
  const args = [
    "--disable-warning=ExperimentalWarning",
    ...(how.turnsPort === undefined ? [] : [`--import=${turnModule}`]),
    "--test",
    `--test-concurrency=${suite.concurrency}`,
    `--test-timeout=${suite.timeoutMs}`,
    "--test-reporter=spec",
    // A file in which no test matches has opened what it needs and never comes to close it.
    ...(only ? [`--test-name-pattern=${only}`, "--test-force-exit"] : []),
    ...files,
  ]
  const title = `\n== ${name}: ${suite.summary} (${files.length} files)\n`
  return new Promise((done, reject) => {
    if (how.isStreamed) process.stdout.write(title)
    const output = how.isStreamed ? "inherit" : "pipe"
    const child = spawn(process.execPath, args, {
      cwd: root,
      stdio: ["ignore", output, output],
      env: {
        ...process.env,
        KUMOI_TEST_DATABASE_URL: how.databaseUrl,
        KUMOI_TEST_TURNS_PORT: String(how.turnsPort ?? ""),
        NODE_ENV: "test",
      },
    })
    const said: Buffer[] = []
    for (const stream of [child.stdout, child.stderr]) stream?.on("data", (chunk: Buffer) => said.push(chunk))
    child.once("error", reject)
    child.once("close", (code) => {
      if (!how.isStreamed) process.stdout.write(Buffer.concat([Buffer.from(title), ...said]))
      done(code ?? 1)
    })
  })
}
