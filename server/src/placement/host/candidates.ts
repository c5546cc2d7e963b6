// What the scheduler reads: hosts (tops of provider trees) with what they have, what is taken and what is free.
import { type RawBuilder, sql } from "kysely"
import type { DbOrTx } from "../../platform/db/database.ts"
import type { Resources } from "../allocation/claim.ts"

export interface HostResource {
  total: number
  reserved: number
  allocationRatio: number
  used: number
  /** (total − reserved) × ratio. */
  capacity: number
  /** Below zero when the host gave away more than it now has. */
  free: number
}

export interface HostCapacity {
  hostId: string
  name: string
  resources: Record<string, HostResource>
  traits: string[]
  aggregateIds: string[]
}

export interface CandidateQuery {
  resources: Resources
  requiredTraits?: readonly string[]
  forbiddenTraits?: readonly string[]
  /** In at least one aggregate of each list. */
  memberOf?: readonly (readonly string[])[]
  /** In none of them. */
  notMemberOf?: readonly string[]
  /** Only these hosts. */
  hostIds?: readonly string[]
  limit?: number
}

/** Hosts with room for all of it now. A claim must follow: the answer may be old a moment later. */
export async function candidateHosts(db: DbOrTx, query: CandidateQuery): Promise<HostCapacity[]> {
  const wanted = Object.entries(query.resources).filter(([, amount]) => amount > 0)
  const conditions: RawBuilder<unknown>[] = wanted.map(
    ([name, amount]) => sql`exists (select from placement.inventory i
      where i.provider_id = p.id and i.resource_class = ${name} and i.used + ${amount} <= i.capacity
        and ${amount} between i.min_unit and i.max_unit and mod(${amount}::bigint, i.step_size) = 0)`,
  )
  if (query.hostIds) conditions.push(sql`p.id = any(${[...query.hostIds]}::uuid[])`)
  for (const trait of query.requiredTraits ?? []) conditions.push(hasTrait([trait]))
  if (query.forbiddenTraits?.length) conditions.push(sql`not ${hasTrait(query.forbiddenTraits)}`)
  for (const aggregates of query.memberOf ?? []) conditions.push(isMember(aggregates))
  if (query.notMemberOf?.length) conditions.push(sql`not ${isMember(query.notMemberOf)}`)
  return await readHosts(db, conditions, query.limit)
}

/** Every host with its usages; also those that are full. */
export async function hostUsages(
  db: DbOrTx,
  filter: { hostIds?: readonly string[] } = {},
): Promise<HostCapacity[]> {
  return await readHosts(db, filter.hostIds ? [sql`p.id = any(${[...filter.hostIds]}::uuid[])`] : [])
}

const hasTrait = (traits: readonly string[]) =>
  sql`exists (select from placement.provider_trait t
    where t.provider_id = p.id and t.trait = any(${[...traits]}::text[]))`

const isMember = (aggregates: readonly string[]) =>
  sql`exists (select from placement.provider_aggregate a
    where a.provider_id = p.id and a.aggregate_id = any(${[...aggregates]}::uuid[]))`

interface HostRow {
  id: string
  name: string
  traits: string[]
  aggregates: string[]
  inventories: { c: string; t: number; r: number; a: number; u: number; p: number }[] | null
}

async function readHosts(
  db: DbOrTx,
  conditions: readonly RawBuilder<unknown>[],
  limit?: number,
): Promise<HostCapacity[]> {
  const where = sql.join([sql`p.parent_id is null`, ...conditions], sql` and `)
  const rows = await sql<HostRow>`
    select p.id, p.name,
      array(select trait from placement.provider_trait t where t.provider_id = p.id order by 1) as traits,
      array(select aggregate_id::text from placement.provider_aggregate a where a.provider_id = p.id order by 1)
        as aggregates,
      (select jsonb_agg(jsonb_build_object('c', i.resource_class, 't', i.total, 'r', i.reserved,
          'a', i.allocation_ratio, 'u', i.used, 'p', i.capacity))
        from placement.inventory i where i.provider_id = p.id) as inventories
    from placement.resource_provider p where ${where}
    order by p.name ${limit === undefined ? sql`` : sql`limit ${limit}`}`.execute(db)
  return rows.rows.map((row) => ({
    hostId: row.id,
    name: row.name,
    traits: row.traits,
    aggregateIds: row.aggregates,
    resources: Object.fromEntries(
      (row.inventories ?? []).map((i) => [
        i.c,
        { total: i.t, reserved: i.r, allocationRatio: i.a, used: i.u, capacity: i.p, free: i.p - i.u },
      ]),
    ),
  }))
}
