// Every process of a cloud, the memory and the processor time that it takes. PSS: pages that several processes share
// count in parts.
import { readdirSync, readFileSync } from "node:fs"
import { setTimeout as delay } from "node:timers/promises"
import type { BenchCloud } from "./cloud.ts"
import type { Report } from "./report.ts"

export interface ComponentMemory {
  name: string
  processes: number
  pssMb: number
}

/** Each process counts for the nearest component above it: a component's workers are its own. */
export async function readMemory(cloud: BenchCloud): Promise<ComponentMemory[]> {
  const roots = await cloud.rootProcesses()
  const parents = readParents()
  const found = new Map<string, ComponentMemory>()
  for (const pid of parents.keys()) {
    const name = componentOf(pid, roots, parents) ?? (namesCloud(pid, cloud) ? "not in status" : undefined)
    if (name === undefined) continue
    const entry = found.get(name) ?? { name, processes: 0, pssMb: 0 }
    found.set(name, { name, processes: entry.processes + 1, pssMb: entry.pssMb + pssMb(pid) })
  }
  return [...found.values()].sort((a, b) => b.pssMb - a.pssMb)
}

/** Milliseconds of processor time that all of them have taken so far; does not grow because others are busy. */
export async function readProcessorMs(cloud: BenchCloud): Promise<number> {
  const roots = await cloud.rootProcesses()
  const parents = readParents()
  let ticks = 0
  for (const pid of parents.keys()) {
    if (componentOf(pid, roots, parents) === undefined) continue
    ticks += ticksOf(pid)
  }
  return ticks * tickMs
}

/** The same of each component. */
export async function readProcessorMsByName(cloud: BenchCloud): Promise<Map<string, number>> {
  const roots = await cloud.rootProcesses()
  const parents = readParents()
  const found = new Map<string, number>()
  for (const pid of parents.keys()) {
    const name = componentOf(pid, roots, parents)
    if (name !== undefined) found.set(name, (found.get(name) ?? 0) + processorMsOf(pid))
  }
  return found
}

/** Milliseconds of processor time of one process. */
export function processorMsOf(pid: number): number {
  return ticksOf(pid) * tickMs
}

/** The same of a process and the children that it has now. */
export function processorMsWithChildren(pid: number): number {
  const children = [...readParents()].filter(([, parent]) => parent === pid).map(([child]) => child)
  return [pid, ...children].reduce((sum, each) => sum + processorMsOf(each), 0)
}

/** Its own and those of its children that have ended. */
function ticksOf(pid: number): number {
  const [utime, stime, cutime, cstime] = readStat(pid).slice(11, 15).map(Number)
  return (utime ?? 0) + (stime ?? 0) + (cutime ?? 0) + (cstime ?? 0)
}

/** The QEMU of a server, and the words that it was called with. */
export function findQemu(serverId: string): { pid: number; words: string[] } {
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    const words = readText(`/proc/${pid}/cmdline`).split("\0")
    if (words.includes("-uuid") && words.includes(serverId)) return { pid: Number(pid), words }
  }
  throw new Error(`no QEMU of server ${serverId} runs`)
}

/** Milliseconds that its first thread could have run but for others on the processors. */
export function readWaitMs(pid: number): number {
  return Number(readText(`/proc/${pid}/schedstat`).split(" ")[1] ?? 0) / 1_000_000
}

/** Linux tells programs of 100 ticks a second, whatever it counts in. */
const tickMs = 10

/** From the third field on. The program's name in parentheses may hold anything, so they are counted from its end. */
function readStat(pid: number): string[] {
  const stat = readText(`/proc/${pid}/stat`)
  return stat === "" ? [] : stat.slice(stat.lastIndexOf(")") + 2).split(" ")
}

function readParents(): Map<number, number> {
  const parents = new Map<number, number>()
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue
    const [state, parent] = readStat(Number(name))
    if (state !== undefined && state !== "Z") parents.set(Number(name), Number(parent))
  }
  return parents
}

function componentOf(
  pid: number,
  roots: Map<number, string>,
  parents: Map<number, number>,
): string | undefined {
  for (let at: number | undefined = pid; at !== undefined && at > 1; at = parents.get(at)) {
    const name = roots.get(at)
    if (name !== undefined) return name
  }
  return undefined
}

/** A process that the cloud does not own up to. */
function namesCloud(pid: number, cloud: BenchCloud): boolean {
  if (pid === process.pid) return false
  const command = readText(`/proc/${pid}/cmdline`)
  return command.includes(cloud.dataDir) || command.includes(cloud.id)
}

function pssMb(pid: number): number {
  const kb = /^Pss:\s+(\d+) kB/m.exec(readText(`/proc/${pid}/smaps_rollup`))?.[1]
  return Number(kb ?? 0) / 1024
}

/** "" when the process has ended meanwhile. */
function readText(path: string): string {
  try {
    return readFileSync(path, "utf8")
  } catch {
    return ""
  }
}

const settledShare = 0.01
const lookEveryMs = 2_000
const looksMax = 15

/** Waits until a cloud that nobody asks anything takes the same memory twice, and notes it. */
export async function noteIdleMemory(report: Report, cloud: BenchCloud, target: number): Promise<void> {
  const sum = (all: ComponentMemory[]) => all.reduce((total, one) => total + one.pssMb, 0)
  let seen = await readMemory(cloud)
  for (let look = 0; look < looksMax; look++) {
    await delay(lookEveryMs)
    const before = sum(seen)
    seen = await readMemory(cloud)
    if (Math.abs(sum(seen) - before) <= before * settledShare) break
  }
  for (const { name, processes, pssMb: value } of seen) {
    report.add(`idle: ${name}`, [
      { name: "PSS", value, unit: "MB" },
      { name: "", value: processes, unit: "processes" },
    ])
  }
  const processes = seen.reduce((total, one) => total + one.processes, 0)
  report.add("idle: everything", [
    { name: "PSS", value: sum(seen), unit: "MB", target },
    { name: "", value: processes, unit: "processes" },
  ])
}
