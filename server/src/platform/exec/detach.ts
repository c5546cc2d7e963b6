// Starts a program that must outlive us: a session of its own, no pipes to us, output to a file.
import { spawn } from "node:child_process"
import { closeSync, openSync } from "node:fs"
import { identifyProcess, type ProcessIdentity } from "./process.ts"

export interface DetachedProcess {
  identity: ProcessIdentity
  /** Resolves with why it ended, while we are the parent. Never rejects. */
  ended: Promise<{ exitCode: number | null; signal: NodeJS.Signals | null }>
}

/** The identity is that of the program itself as long as the command only execs (as `ip netns exec` does). */
export async function startDetached(
  file: string,
  args: readonly string[],
  options: { outputFile: string; cwd?: string; env?: Record<string, string>; inherit?: readonly number[] },
): Promise<DetachedProcess> {
  const out = openSync(options.outputFile, "a", 0o600)
  try {
    const child = spawn(file, args, {
      detached: true,
      // What it inherits is numbered from 3 on.
      stdio: ["ignore", out, out, ...(options.inherit ?? [])],
      cwd: options.cwd ?? "/",
      env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LANG: "C.UTF-8", ...options.env },
    })
    const ended = new Promise<{ exitCode: number | null; signal: NodeJS.Signals | null }>((resolve) => {
      child.once("exit", (exitCode, signal) => resolve({ exitCode, signal }))
      child.once("error", () => resolve({ exitCode: null, signal: null }))
    })
    await new Promise<void>((resolve, reject) => {
      child.once("spawn", resolve)
      child.once("error", (error) => reject(new Error(`${file}: ${error.message}`, { cause: error })))
    })
    child.unref()
    // A child that already ended is a zombie or gone; its pid cannot have been reused before we reaped it.
    const pid = child.pid ?? -1
    const identity = identifyProcess(pid) ?? { pid, startTicks: -1, bootId: "" }
    return { identity, ended }
  } finally {
    closeSync(out)
  }
}
