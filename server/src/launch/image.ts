// `kumoi image`: files of the image store that no image names. Nothing unknown is ever deleted by itself.
import { askRunning, sizeText, table } from "./ask.ts"
import type { ImageAnswer, ImageQuestion } from "./image-answer.ts"
import { command, dataDirOf, dataOption, type OptionSpecs } from "./options.ts"

const specs = {
  ...dataOption,
  yes: { type: "boolean", of: ["discard"], help: "discard: yes, delete these files for good" },
  json: { type: "boolean", help: "as JSON" },
} as const satisfies OptionSpecs

const what = `Files of the image store that no image of the database names, as after a backup was restored.
They are kept, after an hour in lost+found of the store; openstack image create --file makes an image of one again.

  unknown          lists them
  discard ID ...   deletes them for good (needs --yes)`

const timeoutMs = 60_000

const about = { usage: "image unknown|discard [ID] [options]", what, specs, takesWords: true }

export const image = command(about, async (options) => {
  const [action, ...ids] = options.positionals
  const isRight = (action === "unknown" && ids.length === 0) || (action === "discard" && ids.length > 0)
  if (!isRight) {
    process.stderr.write("kumoi: use image unknown or image discard ID ... --yes.\n")
    return 2
  }
  if (action === "discard" && !options.flag("yes")) {
    process.stderr.write(`kumoi: this deletes ${ids.join(", ")} for good; say --yes.\n`)
    return 2
  }
  const questions: ImageQuestion[] =
    action === "unknown" ? [{ action }] : ids.map((id) => ({ action: "discard", id }))
  for (const question of questions) {
    const answer = await askRunning<ImageAnswer>(dataDirOf(options), "/image", question, timeoutMs)
    if (answer === null) return 3
    process.stdout.write(options.flag("json") ? `${JSON.stringify(answer, null, 2)}\n` : render(answer))
  }
  return 0
})

function render(answer: ImageAnswer): string {
  if ("discarded" in answer)
    return `discarded ${answer.discarded.id} (${sizeText(answer.discarded.sizeBytes)})\n`
  const missing = answer.missing
    .map(({ imageId, name }) => `image ${imageId} (${name ?? "-"}) has no data in the store\n`)
    .join("")
  if (answer.files.length === 0) return `${missing}Every file of the image store belongs to an image.\n`
  const rows = answer.files.map((file) => [
    file.id,
    sizeText(file.sizeBytes),
    file.writtenAt,
    file.isSetAside ? "yes" : "not yet",
    file.path,
  ])
  return `${missing}${table(["ID", "SIZE", "WRITTEN", "ASIDE", "PATH"], rows)}`
}
