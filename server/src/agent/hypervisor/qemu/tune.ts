// What a machine's process is told once it is there and before its guest runs: which of the host's processors it has,
// how much of their time, and how fast its own disks are.
import { describeError } from "../../../platform/fault/fault.ts"
import type { Logger } from "../../../platform/log/log.ts"
import { agentStartFailed } from "../../faults.ts"
import { queryBlockStats, queryCpusFast } from "../../qmp/index.ts"
import type { EnsureInput } from "../hypervisor.ts"
import type { CpuGroups } from "./cpu-groups.ts"
import { bindCpus, type HostCpus, takePins } from "./cpu-pins.ts"
import { namedDisks, throttleLimits } from "./devices.ts"
import type { QemuMachine } from "./machine.ts"

export interface TuneHow {
  vmsDir: string
  cpus: HostCpus
  groups: CpuGroups
}

/** Repeatable. */
export async function tuneMachine(
  machine: QemuMachine,
  { spec }: EnsureInput,
  { vmsDir, cpus, groups }: TuneHow,
): Promise<void> {
  const { serverId, identity } = machine
  const { hardware } = spec
  if (!identity) return
  const { pid } = identity
  const isPinned = hardware?.pinnedCpus !== undefined
  const hasLimits = hardware?.cpuLimits !== undefined
  if (isPinned || hasLimits || cpus.shared.length > 0) {
    const processors = await queryCpusFast(await machine.qmp("tune"))
    const threads = processors
      .toSorted((a, b) => a["cpu-index"] - b["cpu-index"])
      .map((processor) => processor["thread-id"])
    try {
      const pins = isPinned ? takePins(vmsDir, machine, hardware, cpus.dedicated) : null
      if (pins || cpus.shared.length > 0) await bindCpus(pid, threads, { pins, shared: cpus.shared })
      if (hardware?.cpuLimits) groups.limit(serverId, pid, threads, hardware.cpuLimits)
    } catch (error) {
      throw Object.assign(agentStartFailed(serverId, describeError(error)), { cause: error })
    }
  }
  await limitDisks(machine, spec)
}

/** A guest that lives goes on, also where it no longer gets what it asked for. */
export async function tuneAgain(
  machine: QemuMachine,
  input: EnsureInput,
  how: TuneHow,
  log: Logger,
): Promise<void> {
  try {
    await tuneMachine(machine, input, how)
  } catch (err) {
    log.error({ serverId: machine.serverId, err }, "a guest is not bounded as it should be")
  }
}

/** Of the machine's own; a volume has its limits in the way to it. */
async function limitDisks(machine: QemuMachine, { disks }: EnsureInput["spec"]): Promise<void> {
  const limited = namedDisks(disks).filter(
    ({ disk }) => disk.ioLimits !== undefined && disk.source.kind !== "volume",
  )
  if (limited.length === 0) return
  const qmp = await machine.qmp("tune")
  const fronts = await queryBlockStats(qmp)
  for (const { disk, names } of limited) {
    // virtio-blk names its own device below the one that was asked for.
    const front = fronts.find(({ qdev }) => qdev?.split("/").includes(names.device))?.qdev
    if (front) await qmp.execute("block_set_io_throttle", { id: front, ...wordsOf(disk.ioLimits ?? {}) })
  }
}

const words = ["bps", "bps_rd", "bps_wr", "iops", "iops_rd", "iops_wr"] as const
const longWords: Readonly<Record<string, (typeof words)[number]>> = {
  ...{ "bps-total": "bps", "bps-read": "bps_rd", "bps-write": "bps_wr" },
  ...{ "iops-total": "iops", "iops-read": "iops_rd", "iops-write": "iops_wr" },
}

/** QEMU wants each of them; 0 is none. */
function wordsOf(limits: Parameters<typeof throttleLimits>[0]): Record<string, number> {
  const all: Record<string, number> = Object.fromEntries(words.map((word) => [word, 0]))
  for (const [name, value] of Object.entries(throttleLimits(limits))) {
    const word = longWords[name]
    if (word) all[word] = value
  }
  return all
}
