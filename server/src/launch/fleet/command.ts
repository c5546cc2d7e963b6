// `kumoi fleet`: simulated hosts beside real ones.
import { askRunning } from "../ask.ts"
import {
  command,
  dataDirOf,
  dataOption,
  type OptionSpecs,
  type ParsedOptions,
  wholeNumber,
} from "../options.ts"
import type { FleetAnswer, FleetQuestion } from "./fleet.ts"
import { hostsMost, type ProfileName, profiles } from "./fleet-file.ts"

const profileNames = Object.keys(profiles)
const profileLines = Object.entries(profiles).map(
  ([name, { vcpus, ramMib, diskGib }]) =>
    `  ${name.padEnd(8)} ${vcpus} CPUs, ${ramMib / 1024} GiB of memory, ${diskGib} GiB of disk`,
)

const specs = {
  ...dataOption,
  profile: {
    type: "string",
    choices: profileNames,
    of: ["add"],
    help: "add: what each has (default medium)",
  },
  json: { type: "boolean", help: "as JSON" },
} as const satisfies OptionSpecs

const what = `Simulated hosts: the scheduler and the API see hosts, and no machine runs.

  add N            adds N of them, with the names sim-00001 and so on; they are there again after ./kumoi up
  list             how many there are, are up, and have servers
  remove [N]       takes the last N away, or all; there must be no server on them

Profiles:
${profileLines.join("\n")}`

const about = { usage: "fleet add|list|remove [N] [options]", what, specs, takesWords: true }

/** Each process of a fleet takes seconds to start. */
const timeoutMs = 900_000

export const fleet = command(about, async (options) => {
  const question = questionOf(options)
  if (question === null) {
    process.stderr.write("kumoi: use fleet add N, fleet list or fleet remove [N]; see ./kumoi fleet --help\n")
    return 2
  }
  const answer = await askRunning<FleetAnswer>(dataDirOf(options), "/fleet", question, timeoutMs)
  if (answer === null) return 3
  process.stdout.write(options.flag("json") ? `${JSON.stringify(answer, null, 2)}\n` : render(answer))
  return 0
})

function questionOf(options: ParsedOptions): FleetQuestion | null {
  const [action, word, ...more] = options.positionals
  if (more.length > 0) return null
  if (action === "list" && word === undefined) return { action }
  if (action === "remove" && word === undefined) return { action, count: null }
  if ((action !== "add" && action !== "remove") || word === undefined) return null
  const count = wholeNumber(`fleet ${action}`, word, { min: 1, max: hostsMost })
  if (action === "remove") return { action, count }
  // readOptions has checked the choices.
  return { action, count, profile: (options.text("profile") ?? "medium") as ProfileName }
}

function render({ hosts, up, servers, byProfile }: FleetAnswer): string {
  const kinds = Object.entries(byProfile).map(([name, count]) => `${count} ${name}`)
  const of = kinds.length === 0 ? "" : ` (${kinds.join(", ")})`
  return `${hosts} simulated hosts${of}, ${up} up, ${servers} servers on them\n`
}
