// `kumoi volume-backup`: where the store of backups of volumes and the database differ. Nothing unknown is ever deleted
// by itself.
import { askRunning, sizeText, table } from "./ask.ts"
import { command, dataDirOf, dataOption, type OptionSpecs } from "./options.ts"
import type { VolumeBackupAnswer, VolumeBackupQuestion } from "./volume-backup-answer.ts"

const specs = {
  ...dataOption,
  yes: { type: "boolean", of: ["discard"], help: "discard: yes, delete these data for good" },
  json: { type: "boolean", help: "as JSON, with the records by which data become backups again" },
} as const satisfies OptionSpecs

const what = `Data in the store of backups that no backup of the database is of, as after a backup of the cloud was
restored, and backups whose data are gone. A record of \`unknown --json\` brings one back, the one that it stands on
first: openstack volume backup record import SERVICE URL.

  unknown          lists them
  discard ID ...   deletes such data for good (needs --yes)`

/** The whole store is walked through. */
const timeoutMs = 600_000

const about = { usage: "volume-backup unknown|discard [ID] [options]", what, specs, takesWords: true }

export const volumeBackup = command(about, async (options) => {
  const [action, ...ids] = options.positionals
  const isRight = (action === "unknown" && ids.length === 0) || (action === "discard" && ids.length > 0)
  if (!isRight) {
    process.stderr.write("kumoi: use volume-backup unknown or volume-backup discard ID ... --yes.\n")
    return 2
  }
  if (action === "discard" && !options.flag("yes")) {
    process.stderr.write(`kumoi: this deletes ${ids.join(", ")} for good; say --yes.\n`)
    return 2
  }
  const questions: VolumeBackupQuestion[] =
    action === "unknown" ? [{ action }] : ids.map((id) => ({ action: "discard", id }))
  for (const question of questions) {
    const answer = await askRunning<VolumeBackupAnswer>(
      dataDirOf(options),
      "/volume-backup",
      question,
      timeoutMs,
    )
    if (answer === null) return 3
    process.stdout.write(options.flag("json") ? `${JSON.stringify(answer, null, 2)}\n` : render(answer))
  }
  return 0
})

function render(answer: VolumeBackupAnswer): string {
  if ("discarded" in answer) return `discarded ${answer.discarded}\n`
  const missing = answer.missing
    .map(({ backupId, name }) => `backup ${backupId} (${name ?? "-"}) has no data in the store\n`)
    .join("")
  if (answer.data.length === 0) return `${missing}All data in the store of backups belong to a backup.\n`
  const rows = answer.data.map(({ id, sizeBytes, volumeId, dataAt, isAside }) => [
    id,
    sizeText(sizeBytes),
    volumeId ?? "-",
    dataAt ?? "-",
    isAside ? "aside" : "unknown",
  ])
  return `${missing}${table(["ID", "SIZE", "VOLUME", "OF", "STATE"], rows)}`
}
