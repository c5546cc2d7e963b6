// `kumoi explain`: why the scheduler would or would not put a server on each host, now.
import type { ServerExplanation } from "../compute/index.ts"
import { askRunning, table } from "./ask.ts"
import type { ExplainQuestion } from "./explain-answer.ts"
import { command, dataDirOf, dataOption, type OptionSpecs } from "./options.ts"

const specs = {
  ...dataOption,
  all: { type: "boolean", help: "every host, however many there are" },
  json: { type: "boolean", help: "as JSON, with every host" },
} as const satisfies OptionSpecs

const what = `Why a server has no host, or where it could go:

  server ID        for each host every filter and resource that says no, the number that is missing, and the
                   smallest change with which the server would fit. Looks at the cloud as it is now and changes
                   nothing; of a server that has a host, what it takes there counts as taken.

Exit status: 0 a host would take it, 1 none would.`

const timeoutMs = 60_000
const hostsShownMost = 50

const about = { usage: "explain server ID [options]", what, specs, takesWords: true }

export const explain = command(about, async (options) => {
  const [kind, id, ...others] = options.positionals
  if (kind !== "server" || id === undefined || others.length > 0) {
    process.stderr.write("kumoi: use explain server ID.\n")
    return 2
  }
  const question: ExplainQuestion = { kind, id }
  const told = await askRunning<ServerExplanation>(dataDirOf(options), "/explain", question, timeoutMs)
  if (told === null) return 3
  const most = options.flag("all") ? Number.POSITIVE_INFINITY : hostsShownMost
  process.stdout.write(
    options.flag("json") ? `${JSON.stringify(told, null, 2)}\n` : renderExplanation(told, most),
  )
  return told.forUser === null ? 0 : 1
})

export function renderExplanation(told: ServerExplanation, hostsMost: number): string {
  const { server, resources, hosts, reasons, smallestChange, forUser } = told
  const where = server.host === null ? "on no host" : `on ${server.host}`
  const needs = Object.entries(resources).map(([name, amount]) => `${name} ${amount}`)
  const rows = hosts.flatMap(({ host, refusals }) =>
    refusals.length === 0
      ? [[host, "-", "it would take the server", ""]]
      : refusals.map(({ by, why, fix }, i) => [i === 0 ? host : "", by, why, fix ?? "-"]),
  )
  const shown = rows.slice(0, hostsMost)
  const left = rows.length - shown.length
  return [
    `server ${server.id} (${server.name}): ${server.state}, ${where}; needs ${needs.join(", ")}\n`,
    server.fault === null ? "" : `its fault: ${server.fault.message}\n`,
    forUser === null ? "a host would take it now\n" : `no host would take it now: ${forUser}\n`,
    ...reasons.map(({ text }) => `${text}\n`),
    smallestChange === null
      ? ""
      : `smallest change: ${smallestChange.host}: ${smallestChange.changes.join("; and ")}\n`,
    hosts.length === 0 ? "No host has reported yet.\n" : `\n${table(["HOST", "BY", "WHY", "CHANGE"], shown)}`,
    left > 0 ? `and ${left} more lines; --all shows them\n` : "",
  ].join("")
}
