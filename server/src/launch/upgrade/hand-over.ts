// The process of one program stops, and that of another starts in its place; guests and engines go on between the two.
// Killed in the middle it leaves what a kill -9 of the cloud leaves: `kumoi up` of either program goes on from there.
import { spawn } from "node:child_process"
import { join } from "node:path"
import { endProcess } from "../../platform/exec/process.ts"
import { Fault } from "../../platform/fault/fault.ts"
import { type CloudDir, readMainState, type StopRequest, stopRequestPath, writeJson } from "../cloud-dir.ts"
import type { Running } from "./running.ts"

/** What is under way gets so long to come to an end. */
const leaveWithinMs = 60_000
const killedWithinMs = 5_000

/**
 * Before anything stops: what has to be installed for it is, and its modules are compiled, as this command loads most
 * of them.
 */
export async function prepareTree(tree: string): Promise<void> {
  const code = await runToEnd(tree, ["routes", "--json"], {
    env: process.env,
    stdio: ["ignore", "ignore", "inherit"],
  })
  if (code === 0) return
  throw new Fault(
    "precondition",
    "cli.upgrade.not_usable",
    `The program in ${tree} does not start; see above.`,
  )
}

export async function stopAndLeave(dir: CloudDir, running: Running): Promise<void> {
  const { identity, parent, canLeave } = running
  if (canLeave) writeJson(stopRequestPath(dir), { leavesToNext: identity } satisfies StopRequest, 0o600)
  const how = canLeave
    ? { graceMs: leaveWithinMs }
    : // SIGTERM would power off the guests.
      { graceMs: killedWithinMs, signal: "SIGKILL" as const }
  // The parent first: it hands the signal on, and starts no other one.
  if (parent) await endProcess(parent, how)
  await endProcess(identity, how)
  // It may have been started again a moment ago.
  const left = readMainState(dir.path)
  if (left) await endProcess(left.identity, { graceMs: killedWithinMs, signal: "SIGKILL" })
}

/** As the one before was started. Resolves with the exit status of `up`: 0 when all answers. */
export async function startIn(tree: string, running: Running, dataDir: string): Promise<number> {
  const { args, cwd, env } = running
  const words = ["up", "--detach", ...withoutData(args), "--data", dataDir]
  return await runToEnd(tree, words, { cwd, env, stdio: "inherit" })
}

/** Said anew, as a variable or the working directory may have said it. */
function withoutData(args: readonly string[]): string[] {
  return args.filter((arg, at) => arg !== "--data" && args[at - 1] !== "--data" && !arg.startsWith("--data="))
}

async function runToEnd(
  tree: string,
  words: string[],
  options: Parameters<typeof spawn>[2],
): Promise<number> {
  const child = spawn(join(tree, "kumoi"), words, options)
  return await new Promise((resolve, reject) => {
    child.once("error", reject)
    child.once("exit", (code) => resolve(code ?? 1))
  })
}
