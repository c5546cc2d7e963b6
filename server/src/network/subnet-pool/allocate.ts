// Takes the prefix of a new subnet from a subnet pool. The pool's row is locked, so that no prefix goes out twice.
import { sql } from "kysely"
import type { Ctx } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"
import { isUuid } from "../../platform/ids/ids.ts"
import {
  formatPrefix,
  lastOf,
  type Prefix,
  parsePrefix,
  prefixesOverlap,
} from "../../platform/net/address.ts"
import { badRequest, poolQuotaExceeded, subnetAllocationFailed, subnetPoolNotFound } from "../faults.ts"
import { ownerOf } from "../resource/standard.ts"
import { sharedWith, viewerOf } from "../resource/viewer.ts"

export interface PooledSubnetRequest {
  projectId?: string | undefined
  networkId: string
  ipVersion?: number | undefined
  cidr?: string | null | undefined
  prefixlen?: number | undefined
  subnetpoolId?: string | null | undefined
  useDefaultSubnetpool?: boolean | undefined
}

interface PoolRow {
  id: string
  ipVersion: 4 | 6
  prefixes: string[]
  defaultPrefixLength: number
  minPrefixLength: number
  maxPrefixLength: number
  defaultQuota: number | null
}

/** The prefix and its pool; undefined when the request names no pool. */
export async function prefixFromPool(
  ctx: Ctx,
  tx: Tx,
  request: PooledSubnetRequest,
): Promise<{ poolId: string; cidr: string } | undefined> {
  const pool = await lockPool(ctx, tx, request)
  if (!pool) return undefined
  if (request.ipVersion !== undefined && request.ipVersion !== pool.ipVersion)
    throw badRequest("Bad subnets request: Cannot allocate requested subnet: ip_version is not the pool's.")
  const { rows } = await sql<{ cidr: string; projectId: string }>`select cidr, project_id as "projectId"
    from network.subnet where subnet_pool_id = ${pool.id}`.execute(tx)
  const used = rows.flatMap((row) => parsePrefix(row.cidr) ?? [])
  const wanted = choosePrefix(pool, used, request)
  const projectId = ownerOf(ctx, request.projectId)
  const mine = rows.filter((row) => row.projectId === projectId).flatMap((row) => parsePrefix(row.cidr) ?? [])
  if (pool.defaultQuota !== null) {
    const units = [...mine, wanted].reduce((sum, p) => sum + quotaUnits(p), 0)
    if (units > pool.defaultQuota) throw poolQuotaExceeded()
  }
  return { poolId: pool.id, cidr: formatPrefix(wanted) }
}

/** IPv4 quotas count addresses, IPv6 quotas /64 networks. */
function quotaUnits(prefix: Prefix): number {
  return 2 ** Math.max(0, (prefix.version === 4 ? 32 : 64) - prefix.length)
}

async function lockPool(ctx: Ctx, tx: Tx, request: PooledSubnetRequest): Promise<PoolRow | undefined> {
  const { subnetpoolId, useDefaultSubnetpool } = request
  if (!subnetpoolId && !useDefaultSubnetpool) return undefined
  const viewer = viewerOf(ctx)
  const which = subnetpoolId
    ? isUuid(subnetpoolId)
      ? sql`p.id = ${subnetpoolId}`
      : sql`false`
    : sql`p.is_default and p.ip_version = ${request.ipVersion ?? 4}`
  const { rows } =
    await sql<PoolRow>`select p.id, p.ip_version as "ipVersion", p.prefixes::text[] as prefixes,
      p.default_prefix_length as "defaultPrefixLength", p.min_prefix_length as "minPrefixLength",
      p.max_prefix_length as "maxPrefixLength", p.default_quota as "defaultQuota"
    from network.subnet_pool p where ${which} and (${viewer.seesAll} or p.is_default
      or p.project_id = ${viewer.projectId}
      or ${sharedWith(viewer, "subnetpool", sql`p.id`)}) for update`.execute(tx)
  if (rows[0]) return rows[0]
  if (subnetpoolId) throw subnetPoolNotFound(subnetpoolId)
  throw badRequest("Bad subnets request: No default subnetpool found for this IP version.")
}

export function choosePrefix(
  pool: Pick<
    PoolRow,
    "prefixes" | "ipVersion" | "defaultPrefixLength" | "minPrefixLength" | "maxPrefixLength"
  >,
  used: readonly Prefix[],
  request: { cidr?: string | null | undefined; prefixlen?: number | undefined },
): Prefix {
  const sources = pool.prefixes.flatMap((text) => parsePrefix(text) ?? [])
  if (request.cidr) {
    const prefix = parsePrefix(request.cidr)
    if (!prefix)
      throw badRequest(`Invalid input for cidr. Reason: '${request.cidr}' is not a valid IP subnet.`)
    checkLength(pool, prefix.length)
    const isInside = sources.some((s) => prefixesOverlap(s, prefix) && s.length <= prefix.length)
    if (!isInside || used.some((u) => prefixesOverlap(u, prefix)))
      throw subnetAllocationFailed("Cannot allocate requested subnet from the available set of prefixes")
    return prefix
  }
  const length = request.prefixlen ?? pool.defaultPrefixLength
  checkLength(pool, length)
  const free = sources.map((source) => lowestFree(source, length, used)).find((p) => p !== undefined)
  if (!free) throw subnetAllocationFailed(`Insufficient prefix space to allocate subnet size /${length}`)
  return free
}

function checkLength(pool: { minPrefixLength: number; maxPrefixLength: number }, length: number): void {
  if (length < pool.minPrefixLength)
    throw badRequest(
      `Unable to allocate subnet with prefix length ${length}, minimum allowed prefix is ${pool.minPrefixLength}.`,
    )
  if (length > pool.maxPrefixLength)
    throw badRequest(
      `Unable to allocate subnet with prefix length ${length}, maximum allowed prefix is ${pool.maxPrefixLength}.`,
    )
}

function lowestFree(source: Prefix, length: number, used: readonly Prefix[]): Prefix | undefined {
  if (length < source.length) return undefined
  const size = 1n << BigInt((source.version === 4 ? 32 : 128) - length)
  const end = lastOf(source)
  let first = source.first
  while (first + size - 1n <= end) {
    const candidate = { version: source.version, first, length }
    const clash = used.find((u) => prefixesOverlap(u, candidate))
    if (!clash) return candidate
    // On to the first boundary behind what is in the way.
    first = ((lastOf(clash) + size) / size) * size
  }
  return undefined
}
