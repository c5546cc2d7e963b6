import { join } from "node:path"
import { readJson, readMainState, readPasswords } from "./cloud-dir.ts"
import { type CloudUser, clientVariables, shellExports } from "./credentials.ts"
import { command, dataDirOf, dataOption, type OptionSpecs } from "./options.ts"

const specs = {
  ...dataOption,
  user: { type: "string", choices: ["admin", "demo"], help: "whose credentials (default admin)" },
} as const satisfies OptionSpecs

const about = {
  usage: "env [options]",
  what: 'Prints shell exports for clients: eval "$(./kumoi env --user demo)"',
  specs,
}

/** Prints the OS_* variables: `eval "$(./kumoi env)"`. */
export const env = command(about, async (options) => {
  const dataDir = dataDirOf(options)
  const passwords = readPasswords(dataDir)
  const last = readJson<{ url: string; region: string; caFile?: string | null }>(
    join(dataDir, "endpoint.json"),
  )
  const url = readMainState(dataDir)?.url ?? last?.url ?? "http://127.0.0.1:5000"
  const user = (options.text("user") ?? "admin") as CloudUser
  process.stdout.write(
    shellExports(
      clientVariables(
        { url, region: last?.region ?? "RegionOne", caFile: last?.caFile ?? null, passwords },
        user,
      ),
    ),
  )
  return 0
})
