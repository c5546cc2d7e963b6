// Which of the host's processors guests have for themselves. Each machine keeps its own beside its files; those count
// whose process lives. There are enough of them, as placement has counted them out.
import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { exec } from "../../../platform/exec/exec.ts"
import { isUuid } from "../../../platform/ids/ids.ts"
import { agentStartFailed } from "../../faults.ts"
import type { GuestHardware } from "../../protocol.ts"
import { findByPidFile } from "./left-behind.ts"
import { type RunDirectory, runDirectory } from "./run-directory.ts"

export interface CpuPins {
  /** The guest's processor → the host's. */
  guest: Readonly<Record<string, number>>
  emulator: number | null
}

export interface HostCpus {
  /** For guests that have them for themselves. */
  dedicated: readonly number[]
  /** For all others; empty: those are bound to none. */
  shared: readonly number[]
}

export function readPins(directory: RunDirectory): CpuPins | null {
  try {
    return JSON.parse(readFileSync(directory.pins, "utf8")) as CpuPins
  } catch {
    return null
  }
}

/** In one go, so that no other machine of this agent comes in between. */
export function takePins(
  vmsDir: string,
  { serverId, directory }: { serverId: string; directory: RunDirectory },
  { pinnedCpus = [], isolatesEmulator = false }: GuestHardware,
  dedicated: readonly number[],
): CpuPins {
  const taken = new Set(
    readdirSync(vmsDir)
      .filter((name) => isUuid(name) && name !== serverId)
      .flatMap((name) => pinsOfLiving(runDirectory(vmsDir, name))),
  )
  // What it has already it keeps.
  const own = new Set(Object.values(readPins(directory)?.guest ?? {}))
  const free = dedicated
    .filter((cpu) => !taken.has(cpu))
    .toSorted((a, b) => Number(own.has(b)) - Number(own.has(a)))
  const needed = pinnedCpus.length + (isolatesEmulator ? 1 : 0)
  if (free.length < needed) {
    const has = `${free.length} of the host's processors are left for guests of their own`
    throw agentStartFailed(serverId, `${has}, and ${needed} are needed (agent.cpuDedicatedSet)`)
  }
  const guest = Object.fromEntries(pinnedCpus.map((cpu, index) => [String(cpu), free[index] ?? -1]))
  const pins = { guest, emulator: isolatesEmulator ? (free[pinnedCpus.length] ?? null) : null }
  writeFileSync(directory.pins, JSON.stringify(pins), { mode: 0o600 })
  return pins
}

function pinsOfLiving(directory: RunDirectory): number[] {
  const pins = readPins(directory)
  if (!pins || !findByPidFile(directory)) return []
  return [...Object.values(pins.guest), ...(pins.emulator === null ? [] : [pins.emulator])]
}

/** Everything of the process to the shared ones (or the emulator's), then each pinned processor to its own. */
export async function bindCpus(
  pid: number,
  threads: readonly number[],
  { pins, shared }: { pins: CpuPins | null; shared: readonly number[] },
): Promise<void> {
  const others = pins?.emulator === null || pins === null ? shared : [pins.emulator]
  if (others.length > 0) await taskset(["-a", "-p", "-c", others.join(","), String(pid)])
  if (!pins) return
  for (const [index, thread] of threads.entries()) {
    const own = pins.guest[String(index)]
    const cpus = own === undefined ? shared : [own]
    if (cpus.length > 0) await taskset(["-p", "-c", cpus.join(","), String(thread)])
  }
}

async function taskset(args: readonly string[]): Promise<void> {
  await exec("taskset", args)
}
