// What `kumoi upgrade --dry-run` prints.
import { rangeWords } from "../../platform/bus/hello.ts"
import type { Program } from "../../platform/program/program.ts"
import { table } from "../ask.ts"
import type { UpgradePlan } from "./plan.ts"

export interface ShownPlan extends UpgradePlan {
  what: "cloud" | "host"
  fromTree: string
  toTree: string
  startedBy: string
  canLeave: boolean
  /** The first host, and simulated ones: upgraded with the cloud's process. */
  ownHosts: readonly string[]
}

const programWords = ({ version, protocol, schema }: Program) =>
  `${version} (protocol ${rangeWords(protocol)}, schema ${schema})`

export function renderPlan(plan: ShownPlan): string {
  const { from, to, what } = plan
  const rows = [
    ["runs now", `${programWords(from)} in ${plan.fromTree}`],
    ["takes over", `${programWords(to)} in ${plan.toTree}`],
    ["restarts", restartWords(plan)],
    ...(what === "cloud" ? [["the way back", backWords(plan)]] : []),
  ] as [string, string][]
  const facts = rows.map(([name, text]) => `  ${name.padEnd(12)} ${text}\n`).join("")
  return [facts, migrationWords(plan), hostWords(plan), problemWords(plan)]
    .filter((part) => part !== "")
    .join("\n")
}

function restartWords({ what, canLeave }: ShownPlan): string {
  const answers =
    what === "cloud"
      ? "the cloud's process: for some seconds nobody answers, clients connect again"
      : "the host's process: for some seconds its commands wait"
  const cut =
    canLeave || what === "host"
      ? ""
      : "; requests under way are cut, as the program of now knows no other way"
  return `${answers}${cut}. Guests and networks go on.`
}

function backWords(plan: ShownPlan): string {
  const { noWayBack } = plan
  return noWayBack === null ? `possible: ${backCommand(plan)}` : `only by restoring a backup: ${noWayBack}`
}

/** By the program that knows how; the one of before may be of before there was an `upgrade`. */
export function backCommand({ from, fromTree, toTree }: ShownPlan): string {
  return from.schema > 0 ? `${fromTree}/kumoi upgrade` : `${toTree}/kumoi upgrade --to ${fromTree}`
}

function migrationWords({ what, migrations, unknownMigrations, fromTree }: ShownPlan): string {
  if (what === "host") return ""
  const unknown = unknownMigrations.map((name) => `  ${name} is a newer program's, and stays\n`).join("")
  if (migrations.length === 0) return `No migrations to run.\n${unknown}`
  const rows = migrations.map(({ name, kind, programsFrom }) => [
    ...["", name],
    programsFrom === null ? kind : `${kind} (programs from ${programsFrom})`,
  ])
  const backup = `Back up before: ${fromTree}/kumoi backup DIR\n`
  return `Migrations to run: ${migrations.length}\n${table(["", "NAME", "KIND"], rows)}${unknown}${backup}`
}

function hostWords({ what, hosts, ownHosts }: ShownPlan): string {
  if (what === "host") return ""
  const rows = [
    ...ownHosts.map((name) => ["", name, "(this machine)", "changes with the cloud's process"]),
    ...hosts.map(({ name, version, protocol, problem }) => [
      ...["", name, protocol === null ? (version ?? "-") : `${version} (protocol ${rangeWords(protocol)})`],
      problem ?? "goes on; upgrade it there, before or after",
    ]),
  ]
  return `Hosts: ${rows.length}\n${table(["", "HOST", "PROGRAM", "THEN"], rows)}`
}

const problemWords = ({ problems }: ShownPlan) =>
  problems.map((each) => `It cannot be done: ${each}\n`).join("")
