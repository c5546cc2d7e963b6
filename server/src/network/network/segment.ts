// The segment of a network: a tunnel number given out by us, or a place on a physical network that was asked for.
import { randomInt } from "node:crypto"
import { type RawBuilder, sql } from "kysely"
import type { Config } from "../../platform/config/config.ts"
import type { Tx } from "../../platform/db/database.ts"
import { badRequest, flatNetworkInUse, noSegmentLeft, tunnelInUse, vlanInUse } from "../faults.ts"

export interface Segment {
  type: "geneve" | "flat" | "vlan"
  physicalNetwork: string | null
  /** Null: any that is free. */
  segmentationId: number | null
}

export interface SegmentRequest {
  providerNetworkType?: string | undefined
  providerPhysicalNetwork?: string | null | undefined
  providerSegmentationId?: number | null | undefined
}

const vlanMax = 4094

/** What the request means; 400 that names the attribute when it cannot be. */
export function planSegment(config: Config["network"], request: SegmentRequest): Segment {
  const type = request.providerNetworkType
  const physicalNetwork = request.providerPhysicalNetwork ?? null
  const segmentationId = request.providerSegmentationId ?? null
  if (type === undefined) {
    if (physicalNetwork !== null || segmentationId !== null) throw wrong("network_type required")
    return { type: "geneve", physicalNetwork: null, segmentationId: null }
  }
  if (type === "geneve") {
    if (physicalNetwork !== null) throw wrong("provider:physical_network specified for geneve network")
    if (segmentationId !== null && (segmentationId < 1 || segmentationId > config.tunnelIdMax))
      throw wrong(`segmentation_id out of range (1 through ${config.tunnelIdMax})`)
    return { type, physicalNetwork: null, segmentationId }
  }
  if (type !== "flat" && type !== "vlan") throw wrong(`network_type value '${type}' not supported`)
  if (physicalNetwork === null) throw wrong(`physical_network required for ${type} provider network`)
  if (!config.physicalNetworks.includes(physicalNetwork))
    throw wrong(`physical_network '${physicalNetwork}' unknown for ${type} provider network`)
  if (type === "flat" && segmentationId !== null)
    throw wrong("segmentation_id specified for flat provider network")
  if (segmentationId !== null && (segmentationId < 1 || segmentationId > vlanMax))
    throw wrong(`segmentation_id out of range (1 through ${vlanMax})`)
  return { type, physicalNetwork, segmentationId }
}

function wrong(why: string) {
  return badRequest(`Invalid input for operation: ${why}.`)
}

const triesAtRandom = 16

/** An expression for a tunnel number at random: one that nobody has, but when nearly all are in use. */
export function anyTunnelId(config: Config["network"]): RawBuilder<number> {
  const tried = Array.from({ length: triesAtRandom }, () => randomInt(1, config.tunnelIdMax + 1))
  return sql<number>`coalesce((select c.id from unnest(${tried}::integer[]) c (id) where not exists (
    select from network.network x where x.provider_type = 'geneve' and x.segmentation_id = c.id) limit 1), 1)`
}

/** The lowest number not in use, of all that are: for a few VLANs, or when hardly a number is left. Null when there is none. Another transaction may take it first. */
export async function freeSegmentationId(
  tx: Tx,
  config: Config["network"],
  segment: Segment,
): Promise<number | null> {
  const max = segment.type === "vlan" ? vlanMax : config.tunnelIdMax
  const same = sql`x.provider_type = ${segment.type} and x.physical_network is not distinct from ${segment.physicalNetwork}`
  const { rows } = await sql<{ id: number }>`
    select c.id from (select 1 as id union all
      select x.segmentation_id + 1 from network.network x where ${same}) c
    where c.id <= ${max} and not exists (select from network.network x where ${same} and x.segmentation_id = c.id)
    order by c.id limit 1`.execute(tx)
  return rows[0]?.id ?? null
}

export function segmentTaken(segment: Segment, segmentationId: number | null): Error {
  if (segment.type === "flat") return flatNetworkInUse(segment.physicalNetwork ?? "")
  if (segmentationId === null) return noSegmentLeft()
  if (segment.type === "vlan") return vlanInUse(segmentationId, segment.physicalNetwork ?? "")
  return tunnelInUse(segmentationId)
}
