// The keys of QoS specs that a machine is held to, in the words of Nova and libvirt. Pure. Other keys are for others.
//
//   total_bytes_sec      bytes of a second; also read_ and write_, and the same of requests: total_iops_sec
//   …_max                of a burst, for …_max_length seconds
//   …_per_gb             by the volume's size: at least …_per_gb_min, at most …_max, which is no burst then
//   size_iops_sec        a request of more bytes counts as several
import type { IoLimits } from "../../agent/protocol.ts"

type Specs = Readonly<Record<string, string>>
type Limits = Partial<Record<keyof IoLimits, number>>

const kinds = ["bytes", "iops"] as const
const ways = ["total", "read", "write"] as const
const rates = kinds.flatMap((kind) => ways.map((way) => `${way}_${kind}_sec` as const))
type Rate = (typeof rates)[number]

/** What QEMU's sums can hold. */
const valueMost = 10 ** 15

const known: ReadonlySet<string> = new Set([
  "size_iops_sec",
  ...rates.flatMap((rate) => [
    rate,
    `${rate}_max`,
    `${rate}_max_length`,
    `${rate}_per_gb`,
    `${rate}_per_gb_min`,
  ]),
])

/** Why no machine could be held to them; null: it can. Whether it can does not depend on the size of the volume. */
export function problemOfSpecs(specs: Specs): string | null {
  for (const [key, value] of Object.entries(specs)) {
    if (known.has(key) && !isNumber(value))
      return `${key}: '${value}' is no whole number from 0 to ${valueMost}.`
  }
  return problemOfLimits(limitsOf(specs, 1))
}

/** Null: nothing is limited. Of specs that have no problem. */
export function ioLimitsOf(specs: Specs, sizeGib: number): IoLimits | null {
  const limits = limitsOf(specs, sizeGib)
  return Object.keys(limits).length === 0 ? null : limits
}

const isNumber = (text: string) => /^[0-9]{1,16}$/.test(text) && Number(text) <= valueMost

/** 0 is no limit, as for libvirt. */
function limitsOf(specs: Specs, sizeGib: number): Limits {
  const of = (key: string) => (Object.hasOwn(specs, key) ? Number(specs[key]) : 0)
  const limits: Limits = {}
  for (const rate of rates) Object.assign(limits, limitsOfRate(rate, of, sizeGib))
  const size = of("size_iops_sec")
  return size > 0 ? { ...limits, size_iops_sec: size } : limits
}

function limitsOfRate(rate: Rate, of: (key: string) => number, sizeGib: number): Limits {
  const [perGib, max] = [of(`${rate}_per_gb`), of(`${rate}_max`)]
  if (perGib > 0) {
    const wanted = Math.max(of(`${rate}_per_gb_min`), perGib * sizeGib)
    return { [rate]: Math.min(wanted, max > 0 ? max : valueMost, valueMost) }
  }
  const length = of(`${rate}_max_length`)
  return {
    ...(of(rate) > 0 && { [rate]: of(rate) }),
    ...(max > 0 && { [`${rate}_max`]: max }),
    ...(length > 0 && { [`${rate}_max_length`]: length }),
  }
}

/** As QEMU refuses them. */
function problemOfLimits(limits: Limits): string | null {
  for (const kind of kinds) {
    const has = (way: string) => [`${way}_${kind}_sec`, `${way}_${kind}_sec_max`].some((key) => key in limits)
    if (has("total") && (has("read") || has("write")))
      return `total_${kind}_sec: a total and limits of reads or writes exclude each other.`
  }
  for (const rate of rates) {
    const { [rate]: value, [`${rate}_max` as const]: max, [`${rate}_max_length` as const]: length } = limits
    if (max !== undefined && value === undefined) return `${rate}_max: a burst needs ${rate} as well.`
    if (max !== undefined && value !== undefined && max < value)
      return `${rate}_max: it is less than ${rate}.`
    if (length !== undefined && max === undefined)
      return `${rate}_max_length: the length of a burst needs ${rate}_max.`
    if (length !== undefined && max !== undefined && length > valueMost / max)
      return `${rate}_max_length: a burst of ${rate}_max may not last so long.`
  }
  const hasRequests = ways.some((way) => `${way}_iops_sec` in limits)
  if ("size_iops_sec" in limits && !hasRequests) return "size_iops_sec: it needs a limit of requests as well."
  return null
}
