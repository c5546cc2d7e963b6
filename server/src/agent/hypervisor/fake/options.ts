// What the fake hypervisor can be told.
import type { Clock } from "../../../platform/clock/clock.ts"
import type { HostDescription } from "../../protocol.ts"
import type { FakeConfig } from "./config.ts"

export interface FakeControl {
  /** Every operation takes this long. */
  delayMs?: number
  /** The `at`-th call from now on (of `operation`, or of any) fails, and `times - 1` calls after it. */
  fail?: { operation?: string; at: number; times?: number } | null
  /** A copy of a volume that a guest has goes on for so long after its moment. */
  copyMs?: number
  /** Guests that run do not let go of volumes. */
  guestsKeepVolumes?: boolean
}

export interface FakeOptions {
  host: string
  hostIp: string
  dir: string
  clock: Clock
  control?: FakeControl
  /** Default: off, no time at all. */
  pace?: FakeConfig["pace"]
  /** What the host claims to have; default: what this machine has. */
  capacity?: Partial<Pick<HostDescription, "vcpus" | "ramMib" | "diskGib">> & { dedicatedCpus?: number }
}

/** What a machine of a small image takes for what changes it, in milliseconds; looking takes no time. */
export const realisticMs: Readonly<Record<string, number>> = {
  ensure: 1_500,
  recover: 1_500,
  setPower: 1_000,
  suspend: 1_500,
  reboot: 1_500,
  destroy: 500,
  snapshot: 1_500,
  plugVif: 300,
  unplugVif: 300,
  plugVolume: 300,
  unplugVolume: 300,
}

/** All that a host can have beyond the ordinary, but pages. */
export function fakeHardware(dedicatedCpus: number): NonNullable<HostDescription["guestHardware"]> {
  return {
    ...{ cpuLimitsProblem: null, pages: [], dedicatedCpus },
    ...{ hasSecureBoot: true, tpmVersions: ["1.2", "2.0"] },
  }
}
