// Bounds of the processor time of machines, by cgroups: the first version's `cpu` controller or the second's, whichever
// the host has. A machine with bounds has a group of its own, and each of its processors one below it: libvirt counts
// a quota for each processor, too.
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from "node:fs"
import { join } from "node:path"
import { describeError } from "../../../platform/fault/fault.ts"
import type { CpuLimits } from "../../protocol.ts"

export interface CpuGroups {
  /** Why there can be none; null: there can. */
  readonly problem: string | null
  /** Repeatable. The threads are those of the guest's processors, in their order. */
  limit(serverId: string, pid: number, threads: readonly number[], limits: CpuLimits): void
  /** After the machine's process has ended. Succeeds when already gone. */
  remove(serverId: string): void
}

interface Hierarchy {
  version: 1 | 2
  mount: string
}

export function findCpuGroups(mountInfo = readFileSync("/proc/self/mountinfo", "utf8")): CpuGroups {
  const found = hierarchiesOf(mountInfo)
  if (found.length === 0) return without("no cgroup hierarchy with the cpu controller is mounted")
  const problems: string[] = []
  for (const hierarchy of found) {
    const problem = problemOf(hierarchy)
    if (problem === null) return groupsIn(hierarchy)
    problems.push(problem)
  }
  return without(problems.join("; "))
}

function without(problem: string): CpuGroups {
  const limit = () => {
    throw new Error(`processor time cannot be bounded: ${problem}`)
  }
  return { problem, limit, remove: () => {} }
}

/** Lines of mountinfo: the mount point is the fifth word; type, source and options follow the hyphen. */
export function hierarchiesOf(mountInfo: string): Hierarchy[] {
  return mountInfo.split("\n").flatMap((line): Hierarchy[] => {
    const [before = "", after = ""] = line.split(" - ")
    const mount = before.split(" ")[4]
    const [type, , options = ""] = after.split(" ")
    if (mount === undefined) return []
    if (type === "cgroup" && options.split(",").includes("cpu")) return [{ version: 1, mount }]
    return type === "cgroup2" && existsSync(mount) && controllersOf(mount).includes("cpu")
      ? [{ version: 2, mount }]
      : []
  })
}

function controllersOf(mount: string): string[] {
  try {
    return readFileSync(join(mount, "cgroup.controllers"), "utf8").trim().split(/\s+/)
  } catch {
    return []
  }
}

/** By making one: what is mounted may be read-only, or another's. */
function problemOf(hierarchy: Hierarchy): string | null {
  const probe = join(hierarchy.mount, `kumoi-probe-${process.pid}`)
  try {
    if (hierarchy.version === 2) enableCpu(hierarchy.mount)
    mkdirSync(probe)
    const file = join(probe, hierarchy.version === 1 ? "cpu.cfs_quota_us" : "cpu.max")
    return existsSync(file) ? null : `${file} is not there`
  } catch (error) {
    return describeError(error)
  } finally {
    removeGroup(probe)
  }
}

function enableCpu(group: string): void {
  const control = join(group, "cgroup.subtree_control")
  if (!readFileSync(control, "utf8").split(/\s+/).includes("cpu")) writeFileSync(control, "+cpu")
}

function groupsIn({ version, mount }: Hierarchy): CpuGroups {
  const groupOf = (serverId: string) => join(mount, `kumoi-${serverId}`)
  const write = version === 1 ? limitByFirst : limitBySecond
  return {
    problem: null,
    limit: (serverId, pid, threads, limits) => write(groupOf(serverId), pid, threads, limits),
    remove: (serverId) => removeGroup(groupOf(serverId)),
  }
}

function limitByFirst(group: string, pid: number, threads: readonly number[], limits: CpuLimits): void {
  mkdirSync(group, { recursive: true })
  if (limits.shares !== undefined) writeFileSync(join(group, "cpu.shares"), String(limits.shares))
  writeFileSync(join(group, "cgroup.procs"), String(pid))
  eachBounded(group, threads, limits, (own, thread, { periodUs, quotaUs }) => {
    writeFileSync(join(own, "cpu.cfs_period_us"), String(periodUs))
    writeFileSync(join(own, "cpu.cfs_quota_us"), String(quotaUs))
    writeFileSync(join(own, "tasks"), String(thread))
  })
}

function limitBySecond(group: string, pid: number, threads: readonly number[], limits: CpuLimits): void {
  mkdirSync(group, { recursive: true })
  if (limits.shares !== undefined) writeFileSync(join(group, "cpu.weight"), String(weightOf(limits.shares)))
  writeFileSync(join(group, "cgroup.procs"), String(pid))
  eachBounded(group, threads, limits, (own, thread, { periodUs, quotaUs }) => {
    // Threads of one process go into several groups only where those say that they are of such a kind.
    writeFileSync(join(own, "cgroup.type"), "threaded")
    enableCpu(group)
    writeFileSync(join(own, "cpu.max"), `${quotaUs} ${periodUs}`)
    appendFileSync(join(own, "cgroup.threads"), String(thread))
  })
}

function eachBounded(
  group: string,
  threads: readonly number[],
  { periodUs, quotaUs }: CpuLimits,
  bound: (own: string, thread: number, bounds: { periodUs: number; quotaUs: number }) => void,
): void {
  if (periodUs === undefined || quotaUs === undefined) return
  for (const [index, thread] of threads.entries()) {
    const own = join(group, `vcpu${index}`)
    mkdirSync(own, { recursive: true })
    bound(own, thread, { periodUs, quotaUs })
  }
}

/** What is usual stays usual (1024 → 100), and so do the least and the most: as container engines count it. */
export function weightOf(shares: number): number {
  const [least, most] = [2, 262_144]
  const log = Math.log2(Math.min(Math.max(shares, least), most))
  const weight = Math.ceil(10 ** ((log * log + 125 * log) / 612 - 7 / 34))
  return Math.min(Math.max(weight, 1), 10_000)
}

/** A group goes when nobody is in it and nothing below it. */
function removeGroup(group: string): void {
  try {
    for (const entry of readdirSync(group, { withFileTypes: true }))
      if (entry.isDirectory()) rmdirSync(join(group, entry.name))
    rmdirSync(group)
  } catch {
    // Not there, or somebody is still in it: the machine's next end looks again.
  }
}
