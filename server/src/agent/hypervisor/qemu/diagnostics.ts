import { readFileSync } from "node:fs"
import type { VmDiagnostics } from "../../protocol.ts"
import { type BlockStats, queryBalloon, queryBlockStats, queryCpusFast } from "../../qmp/index.ts"
import type { EnsureInput } from "../hypervisor.ts"
import { readPins } from "./cpu-pins.ts"
import { namedDisks } from "./devices.ts"
import type { QemuMachine } from "./machine.ts"
import type { RunDirectory } from "./run-directory.ts"

/** USER_HZ, which is 100 on every Linux we run on. */
const nsPerTick = 10_000_000

export async function diagnose(machine: QemuMachine, input: EnsureInput): Promise<VmDiagnostics> {
  const empty: VmDiagnostics = {
    state: machine.state.power,
    driver: "qemu",
    hypervisor: "qemu",
    hypervisorOs: "linux",
    uptimeSeconds: 0,
    configDrive: input.spec.configDrive !== null,
    cpus: [],
    disks: [],
    nics: [],
    memoryUsedMib: 0,
    memoryMaximumMib: input.spec.ramMib,
  }
  const { identity } = machine
  if (!machine.isAlive || !identity) return empty
  const { pid } = identity
  const qmp = await machine.qmp("diagnose")
  const [cpus, blocks, balloon] = [
    await queryCpusFast(qmp),
    await queryBlockStats(qmp),
    await queryBalloon(qmp),
  ]
  const pins = input.spec.hardware?.pinnedCpus ? readPins(machine.directory) : null
  const pageKib = input.spec.hardware?.pageSize === undefined ? undefined : startedPageKib(machine.directory)
  return {
    ...empty,
    uptimeSeconds: secondsSince(identity.startTicks),
    cpus: cpus.map((cpu) => {
      const pin = pins?.guest[String(cpu["cpu-index"])]
      const timeNs = threadTimeNs(pid, cpu["thread-id"])
      return { id: cpu["cpu-index"], timeNs, ...(pin !== undefined && { pin }) }
    }),
    ...(pageKib !== undefined && { pageSizeKib: pageKib }),
    disks: namedDisks(input.spec.disks).map(({ disk, names }) =>
      diskFigures(disk.name, names.device, blocks),
    ),
    nics: nicFigures(pid, input),
    memoryUsedMib: Math.round(balloon.actual / 1024 / 1024),
  }
}

/** As its process was started, whatever was to be had since. */
function startedPageKib(directory: RunDirectory): number | undefined {
  const text = readFileSync(directory.startedLine, "utf8")
  return Number(/hugetlbsize=(\d+)K/.exec(text)?.[1]) || undefined
}

function secondsSince(startTicks: number): number {
  const hostSeconds = Number(readFileSync("/proc/uptime", "utf8").split(" ")[0])
  return Math.max(0, Math.floor(hostSeconds - (startTicks * nsPerTick) / 1e9))
}

function diskFigures(name: string, deviceId: string, blocks: BlockStats[]): VmDiagnostics["disks"][number] {
  // virtio-blk names its own device below the one that was asked for.
  const found = blocks.find((b) => b.qdev?.split("/").includes(deviceId))
  const stats = found?.stats
  return {
    name,
    readBytes: stats?.rd_bytes ?? 0,
    readRequests: stats?.rd_operations ?? 0,
    writeBytes: stats?.wr_bytes ?? 0,
    writeRequests: stats?.wr_operations ?? 0,
    errors:
      (stats?.failed_rd_operations ?? 0) +
      (stats?.failed_wr_operations ?? 0) +
      (stats?.failed_flush_operations ?? 0),
  }
}

function threadTimeNs(pid: number, threadId: number): number {
  try {
    const text = readFileSync(`/proc/${pid}/task/${threadId}/stat`, "utf8")
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ")
    return (Number(fields[11]) + Number(fields[12])) * nsPerTick
  } catch {
    return 0
  }
}

/** Read in QEMU's own network namespace. What the tap sends is what the guest receives. */
function nicFigures(pid: number, input: EnsureInput): VmDiagnostics["nics"] {
  let text = ""
  try {
    text = readFileSync(`/proc/${pid}/net/dev`, "utf8")
  } catch {
    // QEMU has just ended.
  }
  return input.vifs.map((vif) => {
    const line = text.split("\n").find((l) => l.trim().startsWith(`${vif.device}:`))
    const figures =
      line
        ?.slice(line.indexOf(":") + 1)
        .trim()
        .split(/\s+/)
        .map(Number) ?? []
    return {
      macAddress: vif.macAddress,
      rxBytes: figures[8] ?? 0,
      rxPackets: figures[9] ?? 0,
      txBytes: figures[0] ?? 0,
      txPackets: figures[1] ?? 0,
    }
  })
}
