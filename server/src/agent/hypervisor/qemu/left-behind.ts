// What a machine has left in its directory, for whoever comes after the agent that started it.
import { readFileSync } from "node:fs"
import { identifyProcess, type ProcessIdentity } from "../../../platform/exec/process.ts"
import { readStateFile } from "../../state-file.ts"
import type { EnsureInput } from "../hypervisor.ts"
import type { RunDirectory } from "./run-directory.ts"

/** The spec was written by `writeStateFile` of this very driver. */
export function readSpec(directory: RunDirectory): EnsureInput | null {
  return (readStateFile(directory.spec) as EnsureInput | undefined) ?? null
}

export function findByPidFile(directory: RunDirectory): ProcessIdentity | null {
  try {
    const pid = Number(readFileSync(directory.pidFile, "utf8").trim())
    // The pid may have been given to another program since: it must be a QEMU with this very pid file.
    const line = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0")
    return line.includes(directory.pidFile) ? (identifyProcess(pid) ?? null) : null
  } catch {
    return null
  }
}
