// The process behind `up --workers N`: answers requests until it is told to stop or the one that works is gone.
import { type ApiRoleParts, startApiRole } from "../api-role.ts"
import { Fault } from "../platform/fault/fault.ts"
import { createLogger } from "../platform/log/log.ts"
import { readJson } from "./cloud-dir.ts"
import { endWhenUncaught } from "./parent.ts"

export async function serveApi(args: string[]): Promise<number> {
  const [file = "", socketPath = ""] = args
  const parts = readJson<ApiRoleParts>(file)
  if (!parts) throw new Fault("not_found", "cli.no_cloud", `There is no ${file}; \`kumoi up\` writes it.`)
  const log = createLogger({ level: process.env.KUMOI_LOG_LEVEL ?? "info" })
  endWhenUncaught(log)
  const told = new Promise<void>((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => resolve())
  })
  const role = await startApiRole(
    { ...parts, listen: { ...parts.listen, socketPath } },
    { log, env: process.env },
  )
  await Promise.race([told, role.lost])
  await role[Symbol.asyncDispose]()
  return 0
}
