import type { VmDiagnostics } from "../../protocol.ts"
import { type FakeMachine, isOn } from "./fake-machine.ts"

/** Busy while it boots, then nearly idle; the same at the same age. */
export function fakeDiagnostics(machine: FakeMachine, upMs: number): VmDiagnostics {
  const isRunning = isOn(machine)
  const busyNs = isRunning ? Math.round((1_500 + Math.max(0, upMs) / 100) * 1_000_000) : 0
  const { spec, state, vifs } = machine
  return {
    ...{ state: state.power, driver: "fake", hypervisor: "fake", hypervisorOs: "linux" },
    uptimeSeconds: isRunning ? Math.max(0, Math.floor(upMs / 1000)) : 0,
    configDrive: machine.hasConfigDrive,
    cpus: isRunning
      ? Array.from({ length: spec.vcpus }, (_, id) => ({ id, timeNs: busyNs, ...pinOf(machine, id) }))
      : [],
    disks: spec.disks.map((disk) => ({
      name: disk.name,
      readBytes: isRunning ? 20_971_520 : 0,
      readRequests: isRunning ? 1_280 : 0,
      writeBytes: isRunning ? 1_048_576 : 0,
      writeRequests: isRunning ? 64 : 0,
      errors: 0,
    })),
    nics: vifs.map(({ macAddress }) => ({
      macAddress,
      rxBytes: isRunning ? 4_096 : 0,
      rxPackets: isRunning ? 32 : 0,
      txBytes: isRunning ? 4_096 : 0,
      txPackets: isRunning ? 32 : 0,
    })),
    memoryUsedMib: isRunning ? spec.ramMib : 0,
    memoryMaximumMib: spec.ramMib,
  }
}

/** The first of the host's that are set aside, in order. */
function pinOf({ spec }: FakeMachine, cpu: number): { pin?: number } {
  const index = spec.hardware?.pinnedCpus?.indexOf(cpu) ?? -1
  return index < 0 ? {} : { pin: index }
}
