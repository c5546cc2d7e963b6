// What a guest may take of its host: processor time, and of its own disks.
import type { CpuLimits, IoLimits } from "../../agent/protocol.ts"
import { badRequest } from "../faults.ts"
import { type Wishes, wholeNumber } from "./wishes.ts"

/** As the kernel takes them (CFS bandwidth), and libvirt before it. */
const bounds = {
  shares: { least: 2, most: 262_144 },
  periodUs: { least: 1_000, most: 1_000_000 },
  quotaUs: { least: 1_000, most: 17_592_186_044_415 },
} as const

const usualPeriodUs = 100_000

/** Null: it has no limits. */
export function cpuLimitsOf({ specs }: Wishes): CpuLimits | null {
  const number = (spec: string) => (specs[spec] ? wholeNumber(spec, specs[spec]) : 0)
  const shares = number("quota:cpu_shares")
  const period = number("quota:cpu_period")
  const quota = number("quota:cpu_quota")
  if (shares > 0) check("quota:cpu_shares", shares, bounds.shares)
  if (period > 0) check("quota:cpu_period", period, bounds.periodUs)
  if (quota > 0) check("quota:cpu_quota", quota, bounds.quotaUs)
  const limits = {
    ...(shares > 0 && { shares }),
    // A period alone bounds nothing.
    ...(quota > 0 && { quotaUs: quota, periodUs: period || usualPeriodUs }),
  }
  return Object.keys(limits).length > 0 ? limits : null
}

function check(spec: string, value: number, { least, most }: { least: number; most: number }): void {
  if (value >= least && value <= most) return
  throw badRequest(`Invalid input for ${spec}: ${value} is not between ${least} and ${most}.`)
}

const diskLimits = {
  "quota:disk_read_bytes_sec": "read_bytes_sec",
  "quota:disk_write_bytes_sec": "write_bytes_sec",
  "quota:disk_total_bytes_sec": "total_bytes_sec",
  "quota:disk_read_iops_sec": "read_iops_sec",
  "quota:disk_write_iops_sec": "write_iops_sec",
  "quota:disk_total_iops_sec": "total_iops_sec",
} as const satisfies Record<string, keyof IoLimits>

/** Of each of the disks that are the server's own. */
export function diskLimitsOf({ specs }: Wishes): IoLimits | null {
  const limits: IoLimits = {}
  for (const [spec, name] of Object.entries(diskLimits)) {
    const value = specs[spec] ? wholeNumber(spec, specs[spec]) : 0
    if (value > 0) limits[name] = value
  }
  for (const kind of ["bytes", "iops"] as const)
    if (limits[`total_${kind}_sec`] && (limits[`read_${kind}_sec`] || limits[`write_${kind}_sec`]))
      throw badRequest(
        `Invalid input for quota:disk_total_${kind}_sec: a limit of all ${kind} and one of those read or written ` +
          "exclude each other.",
      )
  return Object.keys(limits).length > 0 ? limits : null
}
