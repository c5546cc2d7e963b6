// What runs in a data directory: a cloud, or a host that joined one.
import { readMembership } from "./joined/membership.ts"
import type { RunningCloud } from "./run.ts"
import type { UpOptions } from "./up-options.ts"

/** Loads only what is to run. */
export async function runHere(options: UpOptions, say: (line: string) => void): Promise<RunningCloud> {
  const membership = readMembership(options.dataDir)
  if (membership) return await (await import("./joined/run-host.ts")).runHost(options, membership, say)
  return await (await import("./run.ts")).runCloud(options, say)
}
