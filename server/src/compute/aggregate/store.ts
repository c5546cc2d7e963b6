import { type RawBuilder, sql } from "kysely"
import type { Tx } from "../../platform/db/database.ts"
import type {} from "../tables.ts"
import type { ZoneFacts } from "./zone.ts"

/**
 * One change of aggregates at a time: whether a zone may change is decided by looking at all of them. Reads go on.
 */
export async function lockAggregates(tx: Tx): Promise<void> {
  await sql`lock table compute.aggregate in share row exclusive mode`.execute(tx)
}

/** For a host that is gone for good. */
export async function forgetAggregateHost(tx: Tx, host: string): Promise<void> {
  await tx.deleteFrom("compute.aggregate_host").where("host", "=", host).execute()
}

/** What is to know before the zone of these hosts changes by this aggregate. */
export async function selectZoneFacts(tx: Tx, aggregateId: string, hosts: string[]): Promise<ZoneFacts> {
  const found = await sql<ZoneFacts>`
    select
      array(select distinct a.metadata->>'availability_zone'
        from compute.aggregate a join compute.aggregate_host h on h.aggregate_id = a.id
        where h.host = any(${hosts}::text[]) and a.id <> ${aggregateId}
          and a.metadata ? 'availability_zone') as "otherZones",
      (select count(*) from compute.server where host = any(${hosts}::text[]) and deleted_at is null) as servers
  `.execute(tx)
  return found.rows[0] ?? { otherZones: [], servers: 0 }
}

/** SQL: the zone that an aggregate gives the host, or null. */
export function zoneOfHost(host: RawBuilder<unknown>): RawBuilder<string | null> {
  return sql<string | null>`(select a.metadata->>'availability_zone' from compute.aggregate_host x
    join compute.aggregate a on a.id = x.aggregate_id and a.metadata ? 'availability_zone'
    where x.host = ${host} order by a.id limit 1)`
}
