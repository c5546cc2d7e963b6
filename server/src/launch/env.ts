import { join } from "node:path"
import { readJson, readMainState, readPasswords } from "./cloud-dir.ts"
import { type CloudUser, clientVariables, shellExports } from "./credentials.ts"
import { dataDirOf, dataOption, helpText, type OptionSpecs, readOptions } from "./options.ts"

const specs = {
  ...dataOption,
  user: { type: "string", choices: ["admin", "demo"], help: "whose credentials (default admin)" },
} as const satisfies OptionSpecs

/** Prints the OS_* variables: `eval "$(./kumoi env)"`. */
export async function env(args: string[]): Promise<number> {
  const options = readOptions(args, specs)
  if (options.wantsHelp) {
    process.stdout.write(
      helpText("env [options]", 'Prints shell exports for clients: eval "$(./kumoi env --user demo)"', specs),
    )
    return 0
  }
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
}
