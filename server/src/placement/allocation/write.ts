// Writing what consumers hold, as the API does: for each consumer the whole of it at once, from several providers.
// Order of locks: consumers by id, then providers by id. Nothing is read before its lock.
import { sql } from "kysely"
import { type Static, Type } from "typebox"
import type { Tx } from "../../platform/db/database.ts"
import { allocationImpossible, allocationProviderUnknown, consumerGenerationConflict } from "../faults.ts"
import { checkResourceClasses } from "../resource-class/resource-class.ts"

export const ConsumerAllocations = Type.Object({
  consumerId: Type.String(),
  projectId: Type.String(),
  userId: Type.String(),
  /** Null: unknown, as of clients before microversion 1.38. */
  consumerType: Type.Union([Type.String(), Type.Null()]),
  /** `any`: not checked; null: there must be no such consumer yet. */
  generation: Type.Union([Type.Integer(), Type.Null(), Type.Literal("any")]),
  /** Provider → class → amount; empty gives everything back. */
  allocations: Type.Record(Type.String(), Type.Record(Type.String(), Type.Integer())),
})
export type ConsumerAllocations = Static<typeof ConsumerAllocations>

interface Wanted {
  consumerId: string
  providerId: string
  resourceClass: string
  amount: number
}

/** Makes each consumer hold exactly what is said. All of it or nothing. */
export async function writeAllocations(tx: Tx, consumers: readonly ConsumerAllocations[]): Promise<void> {
  const inOrder = [...consumers].sort((a, b) => (a.consumerId < b.consumerId ? -1 : 1))
  const wanted = inOrder.flatMap(listWanted)
  await checkResourceClasses(
    tx,
    wanted.map((w) => w.resourceClass),
    "Unable to allocate inventory",
  )
  for (const consumer of inOrder) await lockConsumer(tx, consumer)
  const consumerIds = inOrder.map((c) => c.consumerId)
  await lockProviders(tx, consumerIds, wanted)
  const usedBefore = await readUsed(tx, wanted)
  await sql`
    with gone as (
      delete from placement.allocation where consumer_id = any(${consumerIds}::uuid[])
      returning provider_id, resource_class, used
    ), sums as (
      select provider_id, resource_class, sum(used) as used from gone group by 1, 2
    )
    update placement.inventory i set used = i.used - sums.used
    from sums where i.provider_id = sums.provider_id and i.resource_class = sums.resource_class`.execute(tx)
  await checkRoom(tx, wanted, usedBefore)
  await insertAllocations(tx, wanted)
  // A consumer that holds nothing is none.
  await sql`
    delete from placement.consumer c where c.id = any(${consumerIds}::uuid[])
      and not exists (select from placement.allocation a where a.consumer_id = c.id)`.execute(tx)
}

function listWanted(consumer: ConsumerAllocations): Wanted[] {
  return Object.entries(consumer.allocations).flatMap(([providerId, resources]) =>
    Object.entries(resources).map(([resourceClass, amount]) => ({
      consumerId: consumer.consumerId,
      providerId,
      resourceClass,
      amount,
    })),
  )
}

async function lockConsumer(tx: Tx, consumer: ConsumerAllocations): Promise<void> {
  const { consumerId, projectId, userId, consumerType, generation } = consumer
  const inserted = await sql`
    insert into placement.consumer (id, project_id, user_id, consumer_type, generation)
    values (${consumerId}, ${projectId}, ${userId}, ${consumerType}, 1)
    on conflict (id) do nothing returning id`.execute(tx)
  if (inserted.rows.length > 0) {
    if (typeof generation === "number") throw consumerGenerationConflict(consumerId, generation, null)
    return
  }
  const updated = await sql<{ generation: number }>`
    update placement.consumer set generation = generation + 1, updated_at = now(), project_id = ${projectId},
      user_id = ${userId}, consumer_type = coalesce(${consumerType}, consumer_type)
    where id = ${consumerId} returning generation - 1 as generation`.execute(tx)
  const actual = updated.rows[0]?.generation ?? null
  if (generation !== "any" && generation !== actual)
    throw consumerGenerationConflict(consumerId, generation, actual)
}

async function lockProviders(
  tx: Tx,
  consumerIds: readonly string[],
  wanted: readonly Wanted[],
): Promise<void> {
  const named = [...new Set(wanted.map((w) => w.providerId))]
  const locked = await sql<{ id: string }>`
    select id from placement.resource_provider
    where id = any(${named}::uuid[])
      or id in (select provider_id from placement.allocation where consumer_id = any(${[...consumerIds]}::uuid[]))
    order by id for update`.execute(tx)
  const known = new Set(locked.rows.map((row) => row.id))
  const missing = named.find((id) => !known.has(id.toLowerCase()))
  if (missing !== undefined) throw allocationProviderUnknown(missing)
  // What only loses something keeps its generation, unless the consumer gives everything back.
  const isAllGivenBack = wanted.length === 0
  await sql`
    update placement.resource_provider set generation = generation + 1, updated_at = now()
    where id = any(${isAllGivenBack ? [...known] : named}::uuid[])`.execute(tx)
}

interface Room {
  provider_id: string
  resource_class: string
  used: number
  capacity: number
  min_unit: number
  max_unit: number
  step_size: number
}

const roomKey = (providerId: string, resourceClass: string) => `${providerId.toLowerCase()} ${resourceClass}`

async function readRooms(tx: Tx, wanted: readonly Wanted[]): Promise<Map<string, Room>> {
  const found = await sql<Room>`
    select provider_id, resource_class, used, capacity, min_unit, max_unit, step_size from placement.inventory
    where provider_id = any(${[...new Set(wanted.map((w) => w.providerId))]}::uuid[])`.execute(tx)
  return new Map(found.rows.map((row) => [roomKey(row.provider_id, row.resource_class), row]))
}

async function readUsed(tx: Tx, wanted: readonly Wanted[]): Promise<Map<string, number>> {
  const rooms = await readRooms(tx, wanted)
  return new Map([...rooms].map(([key, room]) => [key, room.used]))
}

/** `usedBefore`: what was taken before this write; a provider that gave away too much may not get worse. */
async function checkRoom(
  tx: Tx,
  wanted: readonly Wanted[],
  usedBefore: ReadonlyMap<string, number>,
): Promise<void> {
  const rooms = await readRooms(tx, wanted)
  const sums = new Map<string, number>()
  for (const { providerId, resourceClass, amount } of wanted) {
    const fail = (why: string) => allocationImpossible(resourceClass, providerId, why)
    const key = roomKey(providerId, resourceClass)
    const room = rooms.get(key)
    if (!room) throw fail(`Inventory for '${resourceClass}' on resource provider '${providerId}' invalid.`)
    if (amount < room.min_unit || amount > room.max_unit || amount % room.step_size !== 0)
      throw fail("The requested amount would violate inventory constraints.")
    const sum = (sums.get(key) ?? 0) + amount
    sums.set(key, sum)
    const isWorse = room.used + sum > (usedBefore.get(key) ?? 0)
    if (room.used + sum > room.capacity && isWorse)
      throw fail("The requested amount would exceed the capacity.")
  }
}

async function insertAllocations(tx: Tx, wanted: readonly Wanted[]): Promise<void> {
  if (wanted.length === 0) return
  const rows = wanted.map((w) => ({
    consumer_id: w.consumerId,
    provider_id: w.providerId,
    resource_class: w.resourceClass,
    used: w.amount,
  }))
  await sql`
    with taken as (
      insert into placement.allocation (consumer_id, provider_id, resource_class, used)
      select r.* from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as r
        (consumer_id uuid, provider_id uuid, resource_class text, used bigint)
      returning provider_id, resource_class, used
    ), sums as (
      select provider_id, resource_class, sum(used) as used from taken group by 1, 2
    )
    update placement.inventory i set used = i.used + sums.used
    from sums where i.provider_id = sums.provider_id and i.resource_class = sums.resource_class`.execute(tx)
}
