// CoreFilter, RamFilter, DiskFilter and their Aggregate forms. What fits is decided by placement, whose inventories
// have the overcommit ratio of host and aggregate (host/ratio.ts). These say the same of the same rows: a configuration
// that names them works, and they are asked when a refusal is explained.
import type { HostState } from "../host-state.ts"
import type { ScheduleRequest } from "../request.ts"
import type { Filter, Refusal } from "./filter.ts"

export interface RoomKind {
  resourceClass: string
  /** "4 vCPUs" */
  unit: string
  ratio: string
}

export const roomKinds = {
  VCPU: { resourceClass: "VCPU", unit: "vCPUs", ratio: "cpu_allocation_ratio" },
  MEMORY_MB: { resourceClass: "MEMORY_MB", unit: "MiB of memory", ratio: "ram_allocation_ratio" },
  DISK_GB: { resourceClass: "DISK_GB", unit: "GiB of disk", ratio: "disk_allocation_ratio" },
} as const satisfies Record<string, RoomKind>

function roomFilter(name: string, kind: RoomKind): Filter {
  return { name, refuse: (host, request) => refuseRoom(host, request, kind) }
}

export const coreFilter = roomFilter("CoreFilter", roomKinds.VCPU)
export const ramFilter = roomFilter("RamFilter", roomKinds.MEMORY_MB)
export const diskFilter = roomFilter("DiskFilter", roomKinds.DISK_GB)
export const aggregateCoreFilter = roomFilter("AggregateCoreFilter", roomKinds.VCPU)
export const aggregateRamFilter = roomFilter("AggregateRamFilter", roomKinds.MEMORY_MB)
export const aggregateDiskFilter = roomFilter("AggregateDiskFilter", roomKinds.DISK_GB)

function refuseRoom(host: HostState, request: ScheduleRequest, kind: RoomKind): Refusal | null {
  const { resourceClass, unit, ratio } = kind
  const wanted = request.resources[resourceClass] ?? 0
  if (wanted === 0) return null
  const room = host.rooms[resourceClass]
  if (!room) return { why: `it has no ${resourceClass}`, fix: null, missing: { what: unit, wanted, has: 0 } }
  if (wanted > room.maxUnit) {
    return {
      why: `one server gets ${room.maxUnit} ${unit} at the most there, and ${wanted} are asked for`,
      fix: `a flavor with ${room.maxUnit} ${unit}`,
      missing: { what: unit, wanted, has: room.maxUnit },
    }
  }
  const has = Math.max(room.capacity - room.used, 0)
  if (wanted <= room.capacity - room.used) return null
  const needed = (room.used + wanted) / Math.max(room.total - room.reserved, 1)
  return {
    why: `${has} ${unit} are free of ${room.capacity}, and ${wanted} are asked for`,
    fix: `free ${room.used + wanted - room.capacity} ${unit} there, or ${ratio} ${Math.ceil(needed * 100) / 100}`,
    missing: { what: unit, wanted, has },
  }
}

/** Placement's own decision, which is made whatever filters are enabled. */
export const roomFilterNames: ReadonlySet<string> = new Set(
  [coreFilter, ramFilter, diskFilter, aggregateCoreFilter, aggregateRamFilter, aggregateDiskFilter].map(
    ({ name }) => name,
  ),
)
