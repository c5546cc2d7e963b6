// `kumoi upgrade`: this program takes over a cloud or a host that another one runs, or hands it to another one.
import { resolve } from "node:path"
import pg from "pg"
import { readApplied, readMigrations } from "../../platform/db/migrate.ts"
import { Fault } from "../../platform/fault/fault.ts"
import { ownTree, type Program, readProgram } from "../../platform/program/program.ts"
import { awayText } from "../ask.ts"
import { type CloudDir, openCloudDir } from "../cloud-dir.ts"
import { askCloud } from "../control.ts"
import { postgresUrl } from "../engines/postgres.ts"
import type { ShownHost } from "../host-answer.ts"
import { readMembership } from "../joined/membership.ts"
import { command, dataDirOf, dataOption, dataWords, type OptionSpecs } from "../options.ts"
import { prepareTree, startIn, stopAndLeave } from "./hand-over.ts"
import { type KnownHost, planUpgrade } from "./plan.ts"
import { backCommand, renderPlan, type ShownPlan } from "./render.ts"
import { type Running, readRunning } from "./running.ts"

const specs = {
  ...dataOption,
  "dry-run": { type: "boolean", help: "only say what would change, and whether the way back stays open" },
  to: { type: "string", value: "DIR", help: "the program in this directory takes over (default: this one)" },
  "no-way-back": { type: "boolean", help: "also when the program of before could not go on afterwards" },
  json: { type: "boolean", help: "with --dry-run: as JSON" },
} as const satisfies OptionSpecs

const what = `Say it from the directory of the new program, for a cloud or a host that an older one runs: that one stops
and leaves guests and networks running, the new one runs the migrations and goes on, with the same options. Hosts are
upgraded each on its own machine, in any order. --to DIR hands over to the program in DIR, also an older one.
See docs/how-to/upgrade.md. Exit status: 0 done, 1 it cannot be done or failed, 3 nothing runs there.`

const about = { usage: "upgrade [options]", what, specs }

export const upgrade = command(about, async (options) => {
  const dataDir = dataDirOf(options)
  const running = readRunning(dataDir)
  if (!running) {
    const hint = "What is stopped is upgraded by starting it with the new program."
    process.stderr.write(`kumoi: ${awayText(dataDir)} ${hint}\n`)
    return 3
  }
  const toTree = resolve(options.text("to") ?? ownTree)
  const to = readProgram(toTree)
  if (!to)
    throw new Fault(
      "not_found",
      "cli.upgrade.no_program",
      `--to ${toTree}: there is no program of ours in it.`,
    )
  const dir = openCloudDir(dataDir, { canPostgresReach: () => true })
  const plan = await makePlan({ dir, running, toTree, to })
  if (options.flag("dry-run")) {
    process.stdout.write(options.flag("json") ? `${JSON.stringify(plan, null, 2)}\n` : renderPlan(plan))
    return plan.problems.length === 0 ? 0 : 1
  }
  if (running.tree === toTree && running.program.version === to.version) {
    process.stdout.write(`${to.version} runs already.\n`)
    return 0
  }
  refuseImpossible(plan, options.flag("no-way-back"))
  if (running.startedBy !== "detach") throw byHand(running, { toTree, dataDir })
  return await handOver({ dir, running, plan })
})

interface PlanWish {
  dir: CloudDir
  running: Running
  toTree: string
  to: Program
}

async function makePlan({ dir, running, toTree, to }: PlanWish): Promise<ShownPlan> {
  const isHost = readMembership(dir.path) !== undefined
  const { hosts, ownHosts } = isHost ? { hosts: [], ownHosts: [] } : await askHosts(dir.path)
  const schema = isHost
    ? null
    : {
        applied: await readSchema(running.env.DATABASE_URL || postgresUrl(dir.postgresSocketDir)),
        migrations: await readMigrations(resolve(toTree, "server/schema")),
      }
  const { tree: fromTree, startedBy, canLeave } = running
  return {
    ...planUpgrade({ from: running.program, to, schema, hosts }),
    ...{ what: isHost ? "host" : "cloud", fromTree, toTree, startedBy, canLeave, ownHosts },
  }
}

const askTimeoutMs = 30_000

/** As the running program tells them, which may be of before there were versions. */
async function askHosts(dataDir: string): Promise<{ hosts: KnownHost[]; ownHosts: string[] }> {
  const answer = await askCloud(dataDir, "/host", { action: "list" }, askTimeoutMs)
  if (answer === null) throw new Fault("unavailable", "cli.no_answer", awayText(dataDir))
  const { cloudHosts } = answer as { cloudHosts: Partial<ShownHost>[] }
  const all = cloudHosts.map((host) => ({
    name: host.name ?? "",
    version: host.version ?? null,
    protocol: host.protocol ?? null,
    hasJoined: typeof host.joinedAt === "string",
  }))
  const known = all.flatMap(({ hasJoined, ...host }) => (hasJoined ? [host] : []))
  // Simulated ones never joined either, and change with the cloud's process as well.
  const ownHosts = all.filter(({ hasJoined }) => !hasJoined).map(({ name }) => name)
  return { hosts: known, ownHosts }
}

async function readSchema(url: string) {
  const client = new pg.Client({ connectionString: url, application_name: "kumoi upgrade" })
  // A connection that breaks fails the statement under way; its event alone would end the process.
  client.on("error", () => {})
  await client.connect()
  try {
    return await readApplied(client)
  } finally {
    await client.end().catch(() => {})
  }
}

function refuseImpossible({ problems, noWayBack }: ShownPlan, mayLoseWayBack: boolean): void {
  if (problems.length > 0) throw new Fault("precondition", "cli.upgrade.impossible", problems.join("\n"))
  if (noWayBack === null || mayLoseWayBack) return
  const message = `There would be no way back: ${noWayBack}. Make a backup (./kumoi backup DIR), then say --no-way-back.`
  throw new Fault("precondition", "cli.upgrade.no_way_back", message)
}

/** Whoever started it would start the one of before again, or has it in a terminal. */
function byHand(running: Running, { toTree, dataDir }: { toTree: string; dataDir: string }): Fault {
  const { identity, parent, args, startedBy, env } = running
  const kill = `kill -KILL ${[parent?.pid, identity.pid].filter((pid) => pid !== undefined).join(" ")}`
  const words = args.filter((arg) => arg !== "--detach").join(" ")
  const steps =
    startedBy === "service"
      ? [`${toTree}/kumoi service install ${words}${serviceName(env.KUMOI_SERVICE)}`, kill]
      : [kill, `${toTree}/kumoi up ${words}${words.includes("--data") ? "" : dataWords(dataDir)}`]
  const message =
    `It was started ${startedBy === "service" ? "by systemd" : "in the foreground"}, which this command leaves alone. ` +
    `Guests and networks go on when you say:\n${steps.map((step) => `  ${step}`).join("\n")}`
  return new Fault("unsupported", "cli.upgrade.by_hand", message)
}

function serviceName(unit: string | undefined): string {
  const [, name] = /^kumoi-(.+)\.service$/.exec(unit ?? "") ?? []
  return name === undefined ? "" : ` --name ${name}`
}

interface HandOver {
  dir: CloudDir
  running: Running
  plan: ShownPlan
}

async function handOver({ dir, running, plan }: HandOver): Promise<number> {
  const { toTree, fromTree, to, from } = plan
  const say = (text: string) => process.stdout.write(`${text}\n`)
  await prepareTree(toTree)
  say(`${from.version} stops; guests and networks go on`)
  await stopAndLeave(dir, running)
  const code = await startIn(toTree, running, dir.path)
  if (code === 0) {
    say(`${to.version} has taken over. Back: ${backCommand(plan)}${dataWords(dir.path)}`)
    return 0
  }
  say(`${to.version} did not start (exit ${code}); ${from.version} goes on`)
  const again = await startIn(fromTree, running, dir.path)
  if (again !== 0)
    say(`${from.version} did not start either (exit ${again}); see log/kumoi.out in ${dir.path}`)
  return 1
}
