// What runs in a data directory: a cloud, or a host that joined one.
import { Fault } from "../platform/fault/fault.ts"
import { isJoinUnfinished, readMembership } from "./joined/membership.ts"
import { dataWords } from "./options.ts"
import type { RunningCloud } from "./run.ts"
import type { UpOptions } from "./up-options.ts"

/** Loads only what is to run. */
export async function runHere(options: UpOptions, say: (line: string) => void): Promise<RunningCloud> {
  const membership = readMembership(options.dataDir)
  if (membership?.isControl)
    return await (await import("./control-host/run-control-host.ts")).runControlHost(options, membership, say)
  if (membership) return await (await import("./joined/run-host.ts")).runHost(options, membership, say)
  if (isJoinUnfinished(options.dataDir)) {
    const message = `A host began to join from ${options.dataDir} and did not succeed. Join again, or begin anew: ./kumoi down --purge${dataWords(options.dataDir)}`
    throw new Fault("conflict", "cli.join.unfinished", message)
  }
  return await (await import("./run.ts")).runCloud(options, say)
}
