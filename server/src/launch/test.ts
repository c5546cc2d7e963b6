// `kumoi test`: all tests, or some suites. Installs what they need, as `up` does.
import { spawn } from "node:child_process"
import { glob, mkdtemp, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { guestCacheDir } from "./guest-image.ts"
import { helpText, type OptionSpecs, readOptions } from "./options.ts"
import { enginePackages, installPackages, type NeededPackage } from "./packages.ts"

const root = join(import.meta.dirname, "../../..")

const hostPackages: readonly NeededPackage[] = Object.values(enginePackages).flat()
const processPackages: readonly NeededPackage[] = [
  { name: "procps", why: "looks for processes left over" },
  { name: "curl", why: "asks clouds that have a network of their own" },
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
  /** Test files at a time. */
  concurrency: number
  /** Milliseconds for one test at the most. */
  timeoutMs: number
}

const suites: Record<string, Suite> = {
  check: {
    summary: "types, lint, layering and other rules of the tree",
    packages: [],
    files: ["tools/*.test.ts"],
    concurrency: 2,
    timeoutMs: 300_000,
  },
  db: {
    summary: "stores on a real PostgreSQL",
    packages: enginePackages.qemu,
    files: ["server/src/**/*.db.test.ts"],
    concurrency: 2,
    timeoutMs: 120_000,
  },
  host: {
    summary: "engines of this host: QEMU, OVN, RabbitMQ",
    packages: [
      ...hostPackages,
      ...processPackages,
      { name: "rabbitmq-server", why: "the bus of many hosts is tested on it" },
    ],
    files: ["server/src/**/*.host.test.ts"],
    concurrency: 1,
    timeoutMs: 300_000,
  },
  unit: {
    summary: "pure code",
    packages: hostPackages,
    files: ["server/src/**/*.test.ts", "bench/*.test.ts"],
    concurrency: 2,
    timeoutMs: 120_000,
  },
  server: {
    summary: "the whole control plane over HTTP, fake drivers",
    packages: enginePackages.qemu,
    files: ["server/test/*.test.ts"],
    concurrency: 2,
    timeoutMs: 300_000,
  },
  guest: {
    summary: "the small guest image",
    packages: [...hostPackages, ...sshPackages],
    files: ["guest/*.test.ts"],
    concurrency: 1,
    timeoutMs: 600_000,
  },
  acceptance: {
    summary: "a real cloud by the stock clients",
    packages: [
      ...hostPackages,
      ...clientPackages,
      { name: "tempest", why: "the suite that clouds are tested with" },
    ],
    files: ["acceptance/*.test.ts"],
    concurrency: 1,
    timeoutMs: 900_000,
  },
  slow: {
    summary: "foreign guests; not part of a plain run",
    packages: [
      ...hostPackages,
      ...clientPackages,
      { name: "debootstrap", why: "makes a Debian image to boot" },
    ],
    files: ["acceptance/slow/*.test.ts"],
    concurrency: 1,
    timeoutMs: 1_800_000,
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

export async function test(args: string[]): Promise<number> {
  const options = readOptions(args, specs, true)
  if (options.wantsHelp) {
    const rows = Object.entries(suites).map(([name, s]) => `  ${name.padEnd(12)} ${s.summary}`)
    process.stdout.write(
      helpText("test [suite ...] [options]", `Runs the tests.\n\nsuites:\n${rows.join("\n")}`, specs),
    )
    return 0
  }
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
}

async function runSuites(names: readonly string[], only: string | undefined): Promise<number> {
  const home = await mkdtemp(join(tmpdir(), "kumoi-test-"))
  const { startTestPostgres } = await import("../../test/database.ts")
  await using postgres = await startTestPostgres()
  const claimed = new Set<string>()
  let failed = 0
  try {
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
      if (wanted.length === 0) continue
      process.stdout.write(`\n== ${name}: ${suite.summary} (${wanted.length} files)\n`)
      const code = await runNodeTests(suite, wanted.sort(), only, postgres.url)
      if (code !== 0) failed = code
    }
  } finally {
    await rm(home, { recursive: true, force: true })
  }
  return failed
}

/** Of these, the ones in which the pattern occurs: the others would be set up for nothing. */
async function filesWith(files: readonly string[], pattern: RegExp): Promise<string[]> {
  const found = await Promise.all(
    files.map(async (file) => pattern.test(await readFile(join(root, file), "utf8"))),
  )
  return files.filter((_file, index) => found[index])
}

function runNodeTests(
  suite: Suite,
  files: string[],
  only: string | undefined,
  databaseUrl: string,
): Promise<number> {
  const args = [
    "--disable-warning=ExperimentalWarning",
    "--test",
    `--test-concurrency=${suite.concurrency}`,
    `--test-timeout=${suite.timeoutMs}`,
    "--test-reporter=spec",
    // A file in which no test matches has opened what it needs and never comes to close it.
    ...(only ? [`--test-name-pattern=${only}`, "--test-force-exit"] : []),
    ...files,
  ]
  return new Promise((done, reject) => {
    const child = spawn(process.execPath, args, {
      cwd: root,
      stdio: ["ignore", "inherit", "inherit"],
      env: { ...process.env, KUMOI_TEST_DATABASE_URL: databaseUrl, NODE_ENV: "test" },
    })
    child.once("error", reject)
    child.once("exit", (code) => done(code ?? 1))
  })
}
