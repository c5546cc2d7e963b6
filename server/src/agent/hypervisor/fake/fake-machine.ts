import type { DiskSpec, VmState } from "../../protocol.ts"
import { type VolumeDisk, volumeDisks } from "../../volumes/volume-disks.ts"
import type { EnsureInput, PluggedVif } from "../hypervisor.ts"

export interface FakeMachine {
  serverId: string
  state: VmState
  spec: Omit<EnsureInput["spec"], "configDrive">
  hasConfigDrive: boolean
  vifs: PluggedVif[]
  /** What the console shows, by pieces; only the last few boots are kept. */
  console: string[]
  bootedAt: string | null
  /** While it is suspended: the volumes that its guest had. */
  heldVolumes?: string[]
}

export function isOn(machine: FakeMachine): boolean {
  return machine.state.power === "running" || machine.state.power === "paused"
}

/** As QEMU locks the files of volumes: shared by all who have one, or of one alone. Says why one cannot be had. */
export function lockedBy(
  machines: ReadonlyMap<string, FakeMachine>,
  serverId: string,
  disks: readonly DiskSpec[],
): string | undefined {
  const wanted = volumeDisks(disks)
  const isAlone = (volume: VolumeDisk, by: FakeMachine) =>
    volumeDisks(by.spec.disks).some(
      (its) => its.volumeId === volume.volumeId && !(its.isShared && volume.isShared),
    )
  if (wanted.length === 0) return undefined
  for (const machine of machines.values()) {
    if (machine.serverId === serverId || !isOn(machine)) continue
    const taken = wanted.find((volume) => isAlone(volume, machine))
    if (taken) return `machine ${machine.serverId} has locked volume ${taken.volumeId}`
  }
  return undefined
}
