// What starts a cloud's process again when it dies: a shell (watch.sh), which systemd may start again, or nobody.
import { join } from "node:path"
import { identifyProcess, isProcessAlive, type ProcessIdentity } from "../platform/exec/process.ts"
import type { Logger } from "../platform/log/log.ts"
import { readFacts, readLastMainState } from "./cloud-dir.ts"

export const watchScript = join(import.meta.dirname, "watch.sh")

/** Nobody caught an error. Neither a good end nor a start that failed, so the parent starts it again. */
export const crashedExitCode = 70

/** The parent of this process, when it has one that starts it again; it names itself in the environment. */
export function ownParent(): ProcessIdentity | null {
  const pid = Number(process.env.KUMOI_PARENT)
  // A process further down (an API process, a tool) has inherited the name and is not its child.
  return pid > 0 && pid === process.ppid ? (identifyProcess(pid) ?? null) : null
}

/** How often the parent has started this process again. */
export function ownRestarts(): number {
  return ownParent() ? Number(process.env.KUMOI_RESTARTS ?? 0) : 0
}

/** The parent of the process that runs this cloud, or ran it and is about to be started again. */
export function readParent(dataDir: string): ProcessIdentity | undefined {
  const facts = readFacts(dataDir)
  const parent = facts && readLastMainState(dataDir, facts)?.parent
  return parent && isProcessAlive(parent) ? parent : undefined
}

/**
 * An error that nobody caught, a promise that nobody awaited: what follows from it in this process is unknown. It says
 * so and ends; the next one continues from what is kept.
 */
export function endWhenUncaught(log: Logger): void {
  process.on("uncaughtException", (error: unknown, origin) => {
    log.fatal({ alarm: "crashed", err: error, origin }, "nobody caught an error; the process ends")
    log.flush()
    const text = error instanceof Error ? error.stack : String(error)
    process.stderr.write(`kumoi: ${origin}: ${text}\n`)
    process.exit(crashedExitCode)
  })
}
