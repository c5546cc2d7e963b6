import type { Fault } from "../../platform/fault/fault.ts"
import { agentBackendAway } from "../faults.ts"

/** With what operators are to know in the log: paths, and what programs said, are nothing for tenants. */
export function backendAway(backend: string, why: unknown): Fault {
  return Object.assign(agentBackendAway(backend), { cause: typeof why === "string" ? new Error(why) : why })
}
