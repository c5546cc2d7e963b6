// A process is identified by pid AND start time: pids are reused, the pair is not (until a reboot, see bootId).
import { readdirSync, readFileSync } from "node:fs"
import { eventually } from "../clock/clock.ts"

export interface ProcessIdentity {
  pid: number
  /** Field 22 of /proc/PID/stat, clock ticks since boot. */
  startTicks: number
  bootId: string
}

let cachedBootId: string | undefined
export function bootId(): string {
  cachedBootId ??= readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()
  return cachedBootId
}

interface Stat {
  state: string
  parentPid: number
  startTicks: number
}

function readStat(pid: number): Stat | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8")
    // The name in parentheses may hold anything, so count the fields from its end.
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ")
    return { state: fields[0] ?? "?", parentPid: Number(fields[1]), startTicks: Number(fields[19]) }
  } catch {
    return undefined
  }
}

/** The identity of a living process; undefined when there is none. */
export function identifyProcess(pid: number): ProcessIdentity | undefined {
  const stat = readStat(pid)
  if (!stat || stat.state === "Z" || stat.state === "X") return undefined
  return { pid, startTicks: stat.startTicks, bootId: bootId() }
}

/** Whether that very process still runs (a zombie does not). */
export function isProcessAlive(identity: ProcessIdentity): boolean {
  if (identity.bootId !== bootId()) return false
  const now = identifyProcess(identity.pid)
  return now !== undefined && now.startTicks === identity.startTicks
}

/** Sends a signal if it is still that very process. */
export function signalProcess(identity: ProcessIdentity, signal: NodeJS.Signals): boolean {
  if (!isProcessAlive(identity)) return false
  try {
    process.kill(identity.pid, signal)
    return true
  } catch {
    return false
  }
}

/** SIGTERM, then SIGKILL after `graceMs`; returns when it is gone. */
export async function endProcess(
  identity: ProcessIdentity,
  options: { graceMs: number; signal?: NodeJS.Signals },
): Promise<void> {
  if (!signalProcess(identity, options.signal ?? "SIGTERM")) return
  const gone = () => !isProcessAlive(identity)
  try {
    await eventually(`process ${identity.pid} to end`, gone, { timeoutMs: options.graceMs })
  } catch {
    signalProcess(identity, "SIGKILL")
    await eventually(`process ${identity.pid} to be gone`, gone, { timeoutMs: 5_000 })
  }
}

/** The processes that were started with this variable in their environment. */
export function processesWith(variable: string, value: string): ProcessIdentity[] {
  const wanted = `${variable}=${value}`
  const found: ProcessIdentity[] = []
  for (const name of readdirSync("/proc")) {
    const pid = Number(name)
    if (!Number.isInteger(pid) || pid === process.pid) continue
    try {
      if (!readFileSync(`/proc/${pid}/environ`, "utf8").split("\0").includes(wanted)) continue
    } catch {
      continue
    }
    const identity = identifyProcess(pid)
    if (identity) found.push(identity)
  }
  return found
}

/** The process and all its descendants. */
export function processTree(pid: number): number[] {
  const children = new Map<number, number[]>()
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue
    const parent = readStat(Number(name))?.parentPid
    if (parent !== undefined) children.set(parent, [...(children.get(parent) ?? []), Number(name)])
  }
  const found = [pid]
  for (const at of found) found.push(...(children.get(at) ?? []))
  return found
}

/** Proportional set size in bytes; 0 when it cannot be read. */
export function processMemoryBytes(pid: number): number {
  try {
    const match = /^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))
    return match ? Number(match[1]) * 1024 : 0
  } catch {
    return 0
  }
}
