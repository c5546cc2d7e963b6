import type { Clock } from "../../../platform/clock/clock.ts"
import type { Logger } from "../../../platform/log/log.ts"
import type { CpuGroups } from "./cpu-groups.ts"
import type { HostCpus } from "./cpu-pins.ts"
import type { Firmware } from "./firmware.ts"

export interface QemuOptions {
  host: string
  hostIp: string
  /** Machines lie here, each in a directory of its own. */
  vmsDir: string
  clock: Clock
  log: Logger
  accelerator: "kvm" | "tcg"
  /** Where QEMU must be started so that it sees the taps (a network namespace); see `PortPlugger.commandPrefix`. */
  commandPrefix?: () => string[]
  runAs?: { uid: number; gid: number } | null
  tcgCacheMib?: number
  hasTapOffload?: boolean
  firmware?: Firmware | null
  /** Default: no processor is set aside. */
  cpus?: HostCpus
  /** Default: as the host has them. */
  cpuGroups?: CpuGroups
  /** How long a guest may take to let go of a device. */
  unplugTimeoutMs?: number
}
