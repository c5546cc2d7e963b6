// Why hosts do not get a server: for every host each filter and each resource that says no, and what would have to
// change. Pure. Operators read all of it; whoever asked for the server reads `reasonForUser`.
import type { Asked } from "./choose.ts"
import {
  coreFilter,
  diskFilter,
  type RoomKind,
  ramFilter,
  roomFilterNames,
  roomKinds,
} from "./filter/core-ram-disk.ts"
import type { Refusal } from "./filter/filter.ts"
import type { HostState } from "./host-state.ts"
import type { ScheduleRequest } from "./request.ts"

export interface HostRefusal extends Refusal {
  /** Filter, or resource class. */
  by: string
}

export interface HostVerdict {
  host: string
  /** Empty: it may have the server. */
  refusals: HostRefusal[]
}

const rooms: readonly { kind: RoomKind; filter: typeof coreFilter }[] = [
  { kind: roomKinds.VCPU, filter: coreFilter },
  { kind: roomKinds.MEMORY_MB, filter: ramFilter },
  { kind: roomKinds.DISK_GB, filter: diskFilter },
]

export function judgeHosts(
  hosts: readonly HostState[],
  request: ScheduleRequest,
  { filters, options }: Asked,
): HostVerdict[] {
  const others = filters.filter(({ name }) => !roomFilterNames.has(name))
  return hosts.map((host) => {
    const byFilter = others.map((filter) => named(filter.name, filter.refuse(host, request, options)))
    const byRoom = rooms.map(({ kind, filter }) =>
      named(kind.resourceClass, filter.refuse(host, request, options)),
    )
    return { host: host.name, refusals: [...byFilter, ...byRoom].flat() }
  })
}

function named(by: string, refusal: Refusal | null): HostRefusal[] {
  return refusal ? [{ by, ...refusal }] : []
}

const isRoom = ({ by }: HostRefusal) => rooms.some(({ kind }) => kind.resourceClass === by)

/** Nothing of hosts and of others: what of the request was in the way, and that room of a kind is nowhere. */
export function reasonForUser(verdicts: readonly HostVerdict[], { resources }: ScheduleRequest): string {
  const lacking = verdicts.filter(({ refusals }) => refusals.length > 0 && refusals.every(isRoom))
  if (lacking.length > 0) {
    const everywhere = rooms.filter(({ kind }) =>
      lacking.every(({ refusals }) => refusals.some(({ by }) => by === kind.resourceClass)),
    )
    const asked = (everywhere.length > 0 ? everywhere : rooms)
      .map(({ kind }) => ({ ...kind, wanted: resources[kind.resourceClass] ?? 0 }))
      .filter(({ wanted }) => wanted > 0)
      .map(({ wanted, unit }) => `${wanted} ${unit}`)
    const together = asked.length > 1 && everywhere.length === 0 ? " together" : ""
    return `No host has ${asked.join(" and ")} free${together}.`
  }
  const own = verdicts.flatMap(({ refusals }) => refusals.flatMap(({ forUser }) => forUser ?? []))
  const reasons = [...new Set(own)].join("; ")
  return `There are not enough hosts available${reasons ? ` (left out by the request: ${reasons})` : ""}.`
}

export interface ReasonCount {
  by: string
  hosts: number
  /** Of a number that is missing: what the best of these hosts has. */
  wanted?: number
  best?: number
  what?: string
}

/** Each filter and resource with the number of hosts that it refuses, most first. */
export function countReasons(verdicts: readonly HostVerdict[]): ReasonCount[] {
  const counts = new Map<string, ReasonCount>()
  for (const { by, missing } of verdicts.flatMap(({ refusals }) => refusals)) {
    const before = counts.get(by) ?? { by, hosts: 0 }
    const number = missing && {
      wanted: missing.wanted,
      what: missing.what,
      best: Math.max(before.best ?? 0, missing.has),
    }
    counts.set(by, { ...before, hosts: before.hosts + 1, ...number })
  }
  return [...counts.values()].sort((a, b) => b.hosts - a.hosts || (a.by < b.by ? -1 : 1))
}

/** The host that needs the fewest and smallest changes; null when one fits, or none can be made to. */
export function smallestChange(verdicts: readonly HostVerdict[]): { host: string; changes: string[] } | null {
  if (verdicts.some(({ refusals }) => refusals.length === 0)) return null
  const curable = verdicts.filter(({ refusals }) => refusals.every(({ fix }) => fix !== null))
  const [best] = curable.toSorted(
    (a, b) =>
      a.refusals.length - b.refusals.length || distance(a) - distance(b) || (a.host < b.host ? -1 : 1),
  )
  return best ? { host: best.host, changes: best.refusals.flatMap(({ fix }) => fix ?? []) } : null
}

/** How much is missing, as a share of what is asked for. */
function distance({ refusals }: HostVerdict): number {
  const shares = refusals.map(({ missing }) =>
    missing ? (missing.wanted - missing.has) / Math.max(missing.wanted, 1) : 0,
  )
  return shares.reduce((sum, share) => sum + share, 0)
}

const hostsToldMost = 50

/** For operators: reasons, the smallest change, and host by host as far as that is of use. */
export function describeVerdicts(verdicts: readonly HostVerdict[]): string {
  if (verdicts.length === 0) return "no host has reported yet"
  const change = smallestChange(verdicts)
  const told = verdicts.slice(0, hostsToldMost).map(({ host, refusals }) => {
    const reasons = refusals.map(({ by, why }) => `${by}: ${why}`)
    return `${host}: ${reasons.length > 0 ? reasons.join("; ") : "it may have the server now"}`
  })
  const left = verdicts.length - told.length
  return [
    ...countReasons(verdicts).map((reason) => reasonText(reason, verdicts.length)),
    ...(change ? [`smallest change: ${change.host}: ${change.changes.join("; and ")}`] : []),
    ...told,
    ...(left > 0 ? [`and ${left} more hosts`] : []),
  ].join("\n")
}

export function reasonText({ by, hosts, wanted, best, what }: ReasonCount, all: number): string {
  const number = wanted === undefined ? "" : `; ${wanted} ${what} wanted, ${best} at the most`
  return `${by} refuses ${hosts} of ${all} hosts${number}`
}
