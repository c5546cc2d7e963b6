// How much of a host is sold, as placement's inventories have it: what an aggregate of the host says, else what the
// configuration says of the host, else what it says of all.
import { sql } from "kysely"
import { setHostRatios } from "../../placement/index.ts"
import type { Platform } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"
import { aggregateNumber, type HostAggregate } from "../schedule/host-state.ts"

export interface Ratios extends Record<string, number> {
  VCPU: number
  MEMORY_MB: number
  DISK_GB: number
}

/** Pure. A ratio of an aggregate that is no number above 0 counts as none. */
export function ratiosOf(
  { config }: Pick<Platform, "config">,
  host: { name: string; aggregates: readonly HostAggregate[] },
): Ratios {
  const { compute } = config
  const own = Object.hasOwn(compute.hostAllocationRatios, host.name)
    ? compute.hostAllocationRatios[host.name]
    : undefined
  const ofAggregates = (key: string) => {
    const ratio = aggregateNumber(host, key)
    return ratio !== undefined && ratio > 0 ? ratio : undefined
  }
  return {
    VCPU: ofAggregates("cpu_allocation_ratio") ?? own?.cpu ?? compute.cpuAllocationRatio,
    MEMORY_MB: ofAggregates("ram_allocation_ratio") ?? own?.ram ?? compute.ramAllocationRatio,
    DISK_GB: ofAggregates("disk_allocation_ratio") ?? own?.disk ?? compute.diskAllocationRatio,
  }
}

/** Of one that may be new. */
export async function ratiosOfHost(platform: Platform, tx: Tx, name: string): Promise<Ratios> {
  const { rows } = await sql<HostAggregate>`
    select a.id, a.name, a.metadata from compute.aggregate_host x
    join compute.aggregate a on a.id = x.aggregate_id where x.host = ${name}`.execute(tx)
  return ratiosOf(platform, { name, aggregates: rows })
}

/** Brings the inventories of these hosts (all, when none is named) in line; writes only what differs. */
export async function refreshRatios(platform: Platform, tx: Tx, names?: readonly string[]): Promise<void> {
  if (names?.length === 0) return
  const { rows } = await sql<{ id: string; name: string; aggregates: HostAggregate[] | null }>`
    select h.id, h.name,
      (select jsonb_agg(jsonb_build_object('id', a.id, 'name', a.name, 'metadata', a.metadata))
        from compute.aggregate_host x join compute.aggregate a on a.id = x.aggregate_id
        where x.host = h.name) as aggregates
    from compute.host h
    ${names === undefined ? sql`` : sql`where h.name = any(${[...names]}::text[])`}`.execute(tx)
  const ratios = rows.map(({ id, name, aggregates }) => {
    return [id, ratiosOf(platform, { name, aggregates: aggregates ?? [] })] as const
  })
  await setHostRatios(tx, new Map(ratios))
}
