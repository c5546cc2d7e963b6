// `kumoi keys`: the keys that sign tokens and encrypt credentials, and their rotation. They lie in the database, so the
// running cloud does it.
import { awayText, type Sent } from "./ask.ts"
import { askCloud } from "./control.ts"
import { type KeysAnswer, type KeysQuestion, ringWords } from "./keys-answer.ts"
import { command, dataDirOf, dataOption, type OptionSpecs } from "./options.ts"

const specs = {
  ...dataOption,
  ring: { type: "string", choices: ringWords, help: "these keys only (default: token and receipt)" },
  json: { type: "boolean", help: "as JSON" },
} as const satisfies OptionSpecs

const what = `Keys of tokens, of receipts (logins that are half done) and of stored credentials.

  list      every key: signing, staged to sign next, or kept for what it signed (default)
  rotate    the staged key signs from now on; no valid token ends by it. Credentials are
            encrypted anew when their ring is named.`

const about = { usage: "keys [list|rotate] [options]", what, specs, takesWords: true }

export const keys = command(about, async (options) => {
  const [action = "list", ...rest] = options.positionals
  if ((action !== "list" && action !== "rotate") || rest.length > 0) {
    process.stderr.write(`kumoi: keys ${options.positionals.join(" ")}: use keys list or keys rotate.\n`)
    return 2
  }
  const dataDir = dataDirOf(options)
  const ring = ringWords.find((word) => word === options.text("ring")) ?? null
  const question: KeysQuestion = { action, ring }
  // What answerKeys answers, as JSON.
  const answer = (await askCloud(dataDir, "/keys", question)) as Sent<KeysAnswer> | null
  if (answer === null) {
    process.stderr.write(`kumoi: The keys are in the cloud's database. ${awayText(dataDir)}\n`)
    return 3
  }
  process.stdout.write(options.flag("json") ? `${JSON.stringify(answer, null, 2)}\n` : render(answer))
  return 0
})

function render(answer: Sent<KeysAnswer>): string {
  if ("rotations" in answer) {
    const lines = answer.rotations.map(({ ring, primary, removed, renewed }) => {
      const gone = removed.length > 0 ? `; removed ${removed.join(", ")}` : ""
      const anew = renewed > 0 ? `; ${renewed} credentials encrypted anew` : ""
      return `${ring}: key ${primary} signs now${gone}${anew}\n`
    })
    return lines.join("")
  }
  const rows = answer.keys.map(({ ring, number, role, createdAt, primaryAt }) =>
    [ring.padEnd(10), String(number).padStart(6), ` ${role.padEnd(8)}`, createdAt, primaryAt ?? "-"].join(
      " ",
    ),
  )
  return `${"RING".padEnd(10)} NUMBER  ROLE     ${"MADE".padEnd(24)} SIGNS SINCE\n${rows.join("\n")}\n`
}
