import { type RawBuilder, sql } from "kysely"
import { type DbOrTx, jsonb, type Tx, violatedConstraint } from "../../platform/db/database.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import type { Aggregate, ZoneFacts } from "./aggregate.ts"
import { aggregateNameTaken } from "./faults.ts"
import type {} from "./tables.ts"

/**
 * One change of aggregates at a time: whether a zone may change is decided by looking at all of them. Reads go on.
 */
export async function lockAggregates(tx: Tx): Promise<void> {
  await sql`lock table compute.aggregate in share row exclusive mode`.execute(tx)
}

const whole = (where: RawBuilder<unknown>) => sql<Aggregate>`
  select a.id, a.uuid, a.name, a.metadata, a.created_at as "createdAt", a.updated_at as "updatedAt",
    array(select h.host from compute.aggregate_host h where h.aggregate_id = a.id order by h.added_at, h.host) as hosts
  from compute.aggregate a where ${where} order by a.id`

export async function selectAggregates(db: DbOrTx): Promise<Aggregate[]> {
  return (await whole(sql`true`).execute(db)).rows
}

export async function selectAggregate(db: DbOrTx, id: number): Promise<Aggregate | undefined> {
  return (await whole(sql`a.id = ${id}`).execute(db)).rows[0]
}

export async function insertAggregate(
  tx: Tx,
  aggregate: { name: string; metadata: Record<string, string>; at: Date },
): Promise<Aggregate> {
  const { name, metadata, at } = aggregate
  const uuid = newUuid()
  try {
    const row = await tx
      .insertInto("compute.aggregate")
      .values({ uuid, name, metadata: jsonb(metadata), created_at: at, updated_at: null })
      .returning("id")
      .executeTakeFirstOrThrow()
    return { id: row.id, uuid, name, metadata, hosts: [], createdAt: at, updatedAt: null }
  } catch (error) {
    throw nameFault(error, name)
  }
}

export async function updateAggregateRow(tx: Tx, aggregate: Aggregate): Promise<void> {
  try {
    await tx
      .updateTable("compute.aggregate")
      .set({
        name: aggregate.name,
        metadata: jsonb(aggregate.metadata),
        updated_at: aggregate.updatedAt,
      })
      .where("id", "=", aggregate.id)
      .execute()
  } catch (error) {
    throw nameFault(error, aggregate.name)
  }
}

function nameFault(error: unknown, name: string): unknown {
  return violatedConstraint(error) === "aggregate_name_key" ? aggregateNameTaken(name) : error
}

export async function deleteAggregateRow(tx: Tx, id: number): Promise<void> {
  await tx.deleteFrom("compute.aggregate").where("id", "=", id).execute()
}

/** False when it is there already. */
export async function insertAggregateHost(tx: Tx, id: number, host: string, at: Date): Promise<boolean> {
  const done = await tx
    .insertInto("compute.aggregate_host")
    .values({ aggregate_id: id, host, added_at: at })
    .onConflict((oc) => oc.constraint("aggregate_host_key").doNothing())
    .executeTakeFirst()
  return Number(done.numInsertedOrUpdatedRows) > 0
}

/** False when it was not there. */
export async function deleteAggregateHost(tx: Tx, id: number, host: string): Promise<boolean> {
  const done = await tx
    .deleteFrom("compute.aggregate_host")
    .where("aggregate_id", "=", id)
    .where("host", "=", host)
    .executeTakeFirst()
  return done.numDeletedRows > 0n
}

/** For a host that is gone for good. */
export async function forgetAggregateHost(tx: Tx, host: string): Promise<void> {
  await tx.deleteFrom("compute.aggregate_host").where("host", "=", host).execute()
}

/** What is to know before the zone of these hosts changes by this aggregate. */
export async function selectZoneFacts(tx: Tx, aggregateId: number, hosts: string[]): Promise<ZoneFacts> {
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

/** Host → zone, only for hosts whose aggregate has one. */
export async function zoneOfHosts(db: DbOrTx): Promise<Map<string, string>> {
  const found = await sql<{ host: string; zone: string }>`
    select h.host, a.metadata->>'availability_zone' as zone
    from compute.aggregate a join compute.aggregate_host h on h.aggregate_id = a.id
    where a.metadata ? 'availability_zone' order by a.id desc`.execute(db)
  return new Map(found.rows.map((row) => [row.host, row.zone]))
}
