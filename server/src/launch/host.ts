// `kumoi host`: machines that differ from what the database says. Nothing unknown is ever deleted by itself.
import { askRunning, sizeText, table } from "./ask.ts"
import type { HostAnswer, HostQuestion, ShownFinding } from "./host-answer.ts"
import { command, dataDirOf, dataOption, type OptionSpecs } from "./options.ts"

const specs = {
  ...dataOption,
  project: { type: "string", value: "ID", help: "adopt: whose the server is (default: as the machine says)" },
  yes: { type: "boolean", help: "discard: yes, delete these disks for good" },
  json: { type: "boolean", help: "as JSON" },
} as const satisfies OptionSpecs

const what = `Machines on hosts that no server of the database accounts for, as after a backup was restored.

  unknown [HOST]   lists them: set aside, still in their place, and servers whose machine is missing
  adopt ID         makes a server of the machine, with its disks
  discard ID ...   deletes machine and disks for good (needs --yes)`

/** Switching a guest off and deleting large disks take their time. */
const timeoutMs = 600_000

const about = { usage: "host unknown|adopt|discard [ID] [options]", what, specs, takesWords: true }

export const host = command(about, async (options) => {
  const [action, ...words] = options.positionals
  const questions = questionsOf(action, words, options.text("project") ?? null)
  if (questions === null) {
    process.stderr.write(`kumoi: use host unknown [HOST], host adopt ID or host discard ID ... --yes.\n`)
    return 2
  }
  if (action === "discard" && !options.flag("yes")) {
    process.stderr.write(`kumoi: this deletes the disks of ${words.join(", ")} for good; say --yes.\n`)
    return 2
  }
  const dataDir = dataDirOf(options)
  for (const question of questions) {
    const answer = await askRunning<HostAnswer>(dataDir, "/host", question, timeoutMs)
    if (answer === null) return 3
    process.stdout.write(options.flag("json") ? `${JSON.stringify(answer, null, 2)}\n` : render(answer))
  }
  return 0
})

function questionsOf(
  action: string | undefined,
  words: readonly string[],
  project: string | null,
): HostQuestion[] | null {
  const [first] = words
  if (action === "unknown" && words.length <= 1) return [{ action, host: first ?? null }]
  if (action === "adopt" && first !== undefined && words.length === 1) return [{ action, id: first, project }]
  if (action === "discard" && words.length > 0) return words.map((id) => ({ action, id }))
  return null
}

const meaning: Record<ShownFinding["kind"], string> = {
  aside: "set aside",
  unknown: "in its place; no server has its id",
  deleted: "in its place; its server is deleted",
  left: "in its place; its server is elsewhere",
  missing: "a server without its machine",
}

function render(answer: HostAnswer): string {
  if ("discarded" in answer) {
    const { id, host: of, sizeBytes } = answer.discarded
    return `discarded ${id} of ${of} (${sizeText(sizeBytes)})\n`
  }
  if ("adopted" in answer) {
    const { host: on, id, name, status, portsMissing } = answer.adopted
    const lost =
      portsMissing === 0
        ? ""
        : `${portsMissing} of its interfaces have no port any more: openstack server add network ${id} NETWORK\n`
    return `server ${id} (${name}) on ${on} is ${status}\n${lost}`
  }
  const silent = answer.hosts.filter(({ error }) => error !== null)
  const words = silent.map(({ host: of, error }) => `Host ${of} could not be asked: ${error}\n`).join("")
  const findings = answer.hosts.flatMap((each) => each.findings)
  if (findings.length === 0) return `${words}No machine differs from the database.\n`
  const rows = findings.map((f) => [
    ...[f.host, f.id, f.name ?? "-", f.projectId ?? "-"],
    f.vcpus === null ? "-" : `${f.vcpus} x ${f.ramMib} MiB`,
    ...[f.power, sizeText(f.sizeBytes), f.at ?? "-"],
    f.why === null ? meaning[f.kind] : `${meaning[f.kind]}: ${f.why}`,
  ])
  return `${words}${table(["HOST", "ID", "NAME", "PROJECT", "SIZE", "POWER", "DISK", "SET ASIDE", "WHAT"], rows)}`
}
