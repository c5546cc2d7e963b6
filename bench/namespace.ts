// A network namespace of the benchmark's own: a real cloud brings a public network with routes and addresses, and no
// packet of it may meet the networks of this machine. The measuring process runs in it as well, and so reaches the
// cloud and its machines like any other host of that network.
import { type ChildProcess, spawn } from "node:child_process"
import { randomBytes } from "node:crypto"
import { once } from "node:events"
import { setTimeout as delay } from "node:timers/promises"
import { run } from "./command.ts"
import type { Held } from "./held.ts"

/** It is gone, with all that still runs in it, when `held` ends. */
export async function makeNamespace(held: Held): Promise<string> {
  const name = `kumoi-bench-${randomBytes(3).toString("hex")}`
  held.defer(() => removeNamespace(name))
  await run("ip", ["netns", "add", name])
  await run("ip", ["-n", name, "link", "set", "lo", "up"])
  return name
}

async function removeNamespace(name: string): Promise<void> {
  const pids = await run("ip", ["netns", "pids", name]).catch(() => "")
  for (const pid of pids.split("\n").filter(Boolean)) process.kill(Number(pid), "SIGKILL")
  const names = (await run("ip", ["netns", "list"])).split("\n").map((line) => line.split(" ")[0])
  if (names.includes(name)) await run("ip", ["netns", "delete", name])
}

/** It has many things to end: the machines, the cloud. */
const endWithinMs = 120_000

/** Runs this program again inside; gives what it printed. Its own ctrl-C handling ends what it has started. */
export async function runInside(held: Held, namespace: string, args: readonly string[]): Promise<string> {
  let child: ChildProcess | undefined
  held.defer(async () => child && (await interrupt(child)))
  const self = [process.execPath, ...process.execArgv, `${import.meta.dirname}/run.ts`]
  child = spawn("ip", ["netns", "exec", namespace, ...self, "--inside", namespace, ...args], {
    stdio: ["ignore", "pipe", "inherit"],
  })
  const output: Buffer[] = []
  child.stdout?.on("data", (chunk: Buffer) => output.push(chunk))
  const [code] = await once(child, "close")
  if (code !== 0) throw new Error("the part inside the namespace failed; see above")
  return Buffer.concat(output).toString()
}

async function interrupt(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, "exit")
  child.kill("SIGINT")
  await Promise.race([ended, delay(endWithinMs, undefined, { ref: false })])
  child.kill("SIGKILL")
}
