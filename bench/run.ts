// The benchmark: `node bench/run.ts --help`, and docs/how-to/measure.md.
import { writeFileSync } from "node:fs"
import { availableParallelism, loadavg } from "node:os"
import { parseArgs } from "node:util"
import { measureApi } from "./api.ts"
import { run } from "./command.ts"
import { comparison } from "./compare.ts"
import { measureEngine } from "./engine.ts"
import { measureFleet } from "./fleet.ts"
import { endOnSignal, Held } from "./held.ts"
import { measureIdentity } from "./identity.ts"
import { measureReal, measureRealApart } from "./real.ts"
import { describeMachine, Report, type RunRecord, readRecord } from "./report.ts"
import { measureSchedule } from "./schedule.ts"
import { measureStart } from "./start.ts"
import { measureVolumes } from "./volumes.ts"

const parts = {
  start: "a cloud with fake drivers: start cold and warm, every process and its memory at idle",
  api: "a cloud with fake drivers over HTTP: tokens, lists, networks, servers by one and by fifty",
  engine: "the network's engine (OVN's databases) with 100 to 10,000 ports: one change, all compared",
  schedule: "decisions of the scheduler among 1 to 10,000 hosts, candidates, refusals explained",
  fleet:
    "a cloud of simulated hosts (--hosts N, 10,000): their reports, boots, 10,000 servers by pages, memory",
  identity: "tokens in every way, a storm of logins, 100,000 role assignments",
  volumes: "volumes made, attached, detached, copied, deleted: fake drivers, and as root files and QEMU",
  real: "QEMU and OVN: start, idle memory, a server to ACTIVE and to ssh beside the bare QEMU (needs root)",
} as const

type Part = keyof typeof parts

const help = `Measures Kumoi and prints what was seen beside its target.

usage: node bench/run.ts [options]
       node bench/run.ts --compare BEFORE.json AFTER.json

  --part NAME[,NAME]   which parts; default start,api,identity
${Object.entries(parts)
  .map(([name, what]) => `                       ${name.padEnd(10)}${what}`)
  .join("\n")}
  --real               adds the part real
  --seconds N          length of each load (default 4)
  --repeat N           runs of what is done a few times: starts, machines, bursts (default 5)
  --hosts N            simulated hosts of the part fleet (default 10000)
  --json FILE          keeps everything
  --compare            no measuring: two such files as ratios
  --help               this text

Progress goes to stderr, the table to stdout. Ctrl-C ends what was started before it ends the run.
Figures count only when the machine is quiet: the load average stands beside each of them.
`

const specs = {
  part: { type: "string", multiple: true },
  real: { type: "boolean" },
  seconds: { type: "string" },
  repeat: { type: "string" },
  hosts: { type: "string" },
  json: { type: "string" },
  compare: { type: "boolean" },
  help: { type: "boolean" },
  /** Of the part real, for itself: the network namespace that this process runs in. */
  inside: { type: "string" },
} as const

interface Options {
  parts: Part[]
  seconds: number
  repeat: number
  hosts: number
  json: string | undefined
}

function readOptions(values: ReturnType<typeof readArguments>["values"]): Options {
  const names = (values.part ?? []).flatMap((text) => text.split(","))
  if (names.length === 0) names.push("start", "api", "identity")
  if (values.real) names.push("real")
  const wrong = names.find((name) => !Object.hasOwn(parts, name))
  if (wrong !== undefined) throw new Error(`no part ${wrong}; parts are ${Object.keys(parts).join(", ")}`)
  const positive = (name: string, text: string | undefined, usual: number, isWhole: boolean) => {
    const value = text === undefined ? usual : Number(text)
    if (!(value > 0) || (isWhole && !Number.isInteger(value)))
      throw new Error(`--${name} ${text} is no number above 0`)
    return value
  }
  return {
    parts: (Object.keys(parts) as Part[]).filter((part) => names.includes(part)),
    seconds: positive("seconds", values.seconds, 4, false),
    repeat: positive("repeat", values.repeat, 5, true),
    hosts: positive("hosts", values.hosts, 10_000, true),
    json: values.json,
  }
}

function readArguments() {
  return parseArgs({ options: specs, allowPositionals: true })
}

async function measureAll(report: Report, held: Held, options: Options): Promise<void> {
  const { seconds, repeat } = options
  for (const part of options.parts) {
    if (part !== "real") report.begin(part)
    if (part === "start") {
      const own = held.scope()
      await measureStart(report, own, { hypervisor: "fake", network: "fake", repeat })
      await own[Symbol.asyncDispose]()
    } else if (part === "api") await measureApi(report, held, { seconds, repeat })
    else if (part === "engine") await measureEngine(report, held, { repeat })
    else if (part === "schedule") await measureSchedule(report, held, { seconds, repeat })
    else if (part === "fleet") await measureFleet(report, held, { hosts: options.hosts })
    else if (part === "identity") await measureIdentity(report, held, { seconds, repeat })
    else if (part === "volumes") await measureVolumes(report, held, { repeat })
    else await measureRealApart(report, held, { repeat })
  }
}

/** "" when nobody else works on this machine. */
function busyWarning(): string {
  const load = loadavg()[0] ?? 0
  if (load < availableParallelism() / 4) return ""
  return `The machine was busy before the run began (load ${load.toFixed(1)}): these figures are not to be quoted.\n`
}

async function recordOf(report: Report, startedAt: Date): Promise<RunRecord> {
  const git = async (...args: string[]) => (await run("git", ["-C", import.meta.dirname, ...args])).trim()
  const hasChanges = (await git("status", "--porcelain")) !== ""
  return {
    startedAt: startedAt.toISOString(),
    commit: `${await git("rev-parse", "--short", "HEAD")}${hasChanges ? " with changes" : ""}`,
    command: ["bench/run.ts", ...process.argv.slice(2)].join(" "),
    machine: describeMachine(),
    figures: report.figures,
  }
}

async function main(): Promise<void> {
  const { values, positionals } = readArguments()
  if (values.help) return void process.stdout.write(help)
  if (values.compare) {
    const [before, after] = positionals
    if (!before || !after || positionals.length > 2) throw new Error("--compare wants two files")
    return void process.stdout.write(comparison(readRecord(before), readRecord(after)))
  }
  if (positionals.length > 0) throw new Error(`what is ${positionals[0]}? See --help.`)
  const options = readOptions(values)
  const startedAt = new Date()
  const report = new Report()
  await using held = new Held()
  endOnSignal(held)
  if (values.inside !== undefined) {
    report.begin("real")
    await measureReal(report, held, options)
    process.stdout.write(JSON.stringify(report.figures))
    return
  }
  const busy = busyWarning()
  process.stderr.write(busy)
  await measureAll(report, held, options)
  if (options.json)
    writeFileSync(options.json, `${JSON.stringify(await recordOf(report, startedAt), null, 2)}\n`)
  process.stdout.write(`${report.table()}\n${busy}`)
}

try {
  await main()
} catch (error) {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : error}\n`)
  process.exitCode = 1
}
