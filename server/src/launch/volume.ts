// `kumoi volume`: where back ends and the database differ. Nothing unknown is ever deleted by itself.
import { askRunning, sizeText, table } from "./ask.ts"
import { command, dataDirOf, dataOption, type OptionSpecs } from "./options.ts"
import type { VolumeAnswer } from "./volume-answer.ts"

const specs = {
  ...dataOption,
  json: { type: "boolean", help: "as JSON" },
} as const satisfies OptionSpecs

const what = `Data in the back ends of all hosts that no volume or snapshot of the database is of, as after a backup of the
cloud was restored, and volumes and snapshots whose data are gone. Data that are not encrypted become a volume again
when they are put among the unmanaged ones of their back end and managed (docs/how-to/storage-back-ends.md).

  unknown          lists them`

/** Hosts that do not answer have their time. */
const timeoutMs = 600_000

const about = { usage: "volume unknown [options]", what, specs, takesWords: true }

export const volume = command(about, async (options) => {
  const [action, ...others] = options.positionals
  if (action !== "unknown" || others.length > 0) {
    process.stderr.write("kumoi: use volume unknown.\n")
    return 2
  }
  const answer = await askRunning<VolumeAnswer>(dataDirOf(options), "/volume", {}, timeoutMs)
  if (answer === null) return 3
  process.stdout.write(options.flag("json") ? `${JSON.stringify(answer, null, 2)}\n` : render(answer))
  return 0
})

function render({ unknown, missing, silent }: VolumeAnswer): string {
  const rows = [
    ...unknown.map((found) => [
      ...[found.host, found.backend, found.id, "-", "-", sizeText(found.sizeBytes)],
      "data of no volume or snapshot",
    ]),
    ...missing.map((found) => [
      ...[found.host, found.backend, found.id, found.name ?? "-", found.projectId, "-"],
      `a ${found.kind} without its data`,
    ]),
  ]
  const quiet = silent.map(({ host, backend }) => `${host}@${backend} does not say what it has\n`).join("")
  if (rows.length > 0)
    return `${quiet}${table(["HOST", "BACK END", "ID", "NAME", "PROJECT", "SIZE", "WHAT"], rows)}`
  return quiet || "The data of every back end belong to a volume or a snapshot.\n"
}
