// A claim takes the first host, in the caller's order of preference, that has room for all of it. Every claim on a host
// updates the host's row first, so two claims on it come one after the other, and the amounts are added only where
// they still fit: of two claims on the last place exactly one wins, and the other one goes on to the next host.
import { sql } from "kysely"
import type { DbOrTx, Tx } from "../../platform/db/database.ts"
import { noCapacity } from "../faults.ts"

export type Resources = Readonly<Record<string, number>>

export interface Claim {
  /** The server's id (or the migration's). */
  consumerId: string
  projectId: string
  userId: string
  /** Hosts in the order of preference. */
  candidates: readonly string[]
  /** Amounts by resource class; zero asks for nothing. */
  resources: Resources
  /** Default INSTANCE. */
  consumerType?: string
}

/**
 * Makes the consumer hold exactly these resources on one of the candidates; what it held before is given back.
 * Repeating a claim that already holds changes nothing. Throws `placement.capacity.exhausted`.
 */
export async function claimAllocation(tx: Tx, claim: Claim): Promise<{ hostId: string }> {
  const wanted = Object.entries(claim.resources).filter(([, amount]) => amount > 0)
  const isNew = await lockConsumer(tx, claim)
  const held = isNew ? [] : await readHeld(tx, claim.consumerId)
  const heldOn = sameClaim(held, wanted, claim.candidates)
  if (heldOn) return { hostId: heldOn }
  if (held.length > 0) await giveBack(tx, claim.consumerId)
  const open = [...claim.candidates]
  while (open.length > 0) {
    const only = open.length === 1
    const hostId = only ? open[0] : await firstWithRoom(tx, open, wanted)
    if (!hostId) break
    const taking = () => take(tx, claim.consumerId, hostId, wanted)
    if (only ? await taking() : await orLetGo(tx, taking)) return { hostId }
    // Somebody was faster; the next look may still find it free if they roll back, but the order is tried once only.
    open.splice(0, open.indexOf(hostId) + 1)
  }
  throw noCapacity(Object.fromEntries(wanted))
}

/** Gives back all that the consumer holds; false when it held nothing. */
export async function releaseAllocation(tx: Tx, consumerId: string): Promise<boolean> {
  const locked = await sql`select from placement.consumer where id = ${consumerId} for update`.execute(tx)
  if (locked.rows.length === 0) return false
  await giveBack(tx, consumerId)
  await tx.deleteFrom("placement.consumer").where("id", "=", consumerId).execute()
  return true
}

/**
 * Passes what one consumer holds to another, whole: during a move the old place belongs to the migration and the new
 * one to the server. It moves whatever the first one holds now: where a new claim for it follows, both belong into one
 * transaction with what says that they were made.
 */
export async function transferAllocation(
  tx: Tx,
  move: { fromConsumerId: string; toConsumerId: string; consumerType?: string },
): Promise<void> {
  const from = await sql<{ project_id: string; user_id: string }>`
    select project_id, user_id from placement.consumer where id = ${move.fromConsumerId} for update`.execute(
    tx,
  )
  const owner = from.rows[0]
  if (!owner) return
  await lockConsumer(tx, {
    consumerId: move.toConsumerId,
    projectId: owner.project_id,
    userId: owner.user_id,
    consumerType: move.consumerType ?? "MIGRATION",
  })
  await giveBack(tx, move.toConsumerId)
  await tx
    .updateTable("placement.allocation")
    .set({ consumer_id: move.toConsumerId })
    .where("consumer_id", "=", move.fromConsumerId)
    .execute()
  await tx.deleteFrom("placement.consumer").where("id", "=", move.fromConsumerId).execute()
}

export interface HeldAllocation {
  hostId: string
  resources: Record<string, number>
}

/** What a consumer holds, by host; empty when nothing. */
export async function getHeldAllocations(db: DbOrTx, consumerId: string): Promise<HeldAllocation[]> {
  const byHost = new Map<string, HeldAllocation>()
  for (const row of await readHeld(db, consumerId)) {
    const entry = byHost.get(row.provider_id) ?? { hostId: row.provider_id, resources: {} }
    entry.resources[row.resource_class] = row.used
    byHost.set(row.provider_id, entry)
  }
  return [...byHost.values()]
}

interface HeldRow {
  provider_id: string
  resource_class: string
  used: number
}

async function readHeld(db: DbOrTx, consumerId: string): Promise<HeldRow[]> {
  return await db
    .selectFrom("placement.allocation")
    .select(["provider_id", "resource_class", "used"])
    .where("consumer_id", "=", consumerId)
    .orderBy("provider_id")
    .execute()
}

function sameClaim(
  held: readonly HeldRow[],
  wanted: readonly [string, number][],
  candidates: readonly string[],
): string | undefined {
  const hostId = held[0]?.provider_id
  if (!hostId || held.length !== wanted.length || !candidates.includes(hostId)) return undefined
  const isSame = wanted.every(([name, amount]) =>
    held.some((h) => h.provider_id === hostId && h.resource_class === name && h.used === amount),
  )
  return isSame ? hostId : undefined
}

/** True when there was no such consumer. */
async function lockConsumer(
  tx: Tx,
  owner: Pick<Claim, "consumerId" | "projectId" | "userId" | "consumerType">,
): Promise<boolean> {
  const { rows } = await sql<{ generation: number }>`
    insert into placement.consumer (id, project_id, user_id, consumer_type, generation)
    values (${owner.consumerId}, ${owner.projectId}, ${owner.userId}, ${owner.consumerType ?? "INSTANCE"}, 1)
    on conflict (id) do update set generation = placement.consumer.generation + 1, updated_at = now(),
      project_id = excluded.project_id, user_id = excluded.user_id, consumer_type = excluded.consumer_type
    returning generation`.execute(tx)
  return rows[0]?.generation === 1
}

/** Adds nothing, takes nothing but what the consumer holds, keeping the sums. */
async function giveBack(tx: Tx, consumerId: string): Promise<void> {
  // Locked in one order by all, so that two that give back at once do not wait for each other.
  await sql`
    select from placement.resource_provider
    where id in (select provider_id from placement.allocation where consumer_id = ${consumerId})
    order by id for update`.execute(tx)
  await sql`
    with gone as (
      delete from placement.allocation where consumer_id = ${consumerId}
      returning provider_id, resource_class, used
    )
    update placement.inventory i set used = i.used - gone.used
    from gone where i.provider_id = gone.provider_id and i.resource_class = gone.resource_class`.execute(tx)
}

const wantRows = (wanted: readonly [string, number][]) =>
  sql`unnest(${wanted.map(([name]) => name)}::text[], ${wanted.map(([, amount]) => amount)}::bigint[])
      as want (resource_class, amount)`

const fits = sql<boolean>`i.used + want.amount <= i.capacity and want.amount between i.min_unit and i.max_unit
      and mod(want.amount, i.step_size) = 0`

async function firstWithRoom(
  tx: Tx,
  candidates: readonly string[],
  wanted: readonly [string, number][],
): Promise<string | undefined> {
  const found = await sql<{ id: string }>`
    select p.id from unnest(${[...candidates]}::uuid[]) with ordinality as candidate (id, rank)
    join placement.resource_provider p on p.id = candidate.id
    where not exists (
      select from ${wantRows(wanted)} where not exists (
        select from placement.inventory i
        where i.provider_id = p.id and i.resource_class = want.resource_class and ${fits}))
    order by candidate.rank limit 1`.execute(tx)
  return found.rows[0]?.id
}

/** When it does not succeed, the host's row is let go too: claims that prefer other orders cannot deadlock on it. */
async function orLetGo(tx: Tx, taking: () => Promise<boolean>): Promise<boolean> {
  await sql`savepoint placement_take`.execute(tx)
  const isTaken = await taking()
  await sql`${sql.raw(isTaken ? "release" : "rollback to")} savepoint placement_take`.execute(tx)
  return isTaken
}

/** Takes all of it or, when it no longer fits, nothing. */
async function take(
  tx: Tx,
  consumerId: string,
  hostId: string,
  wanted: readonly [string, number][],
): Promise<boolean> {
  // The statement after this one sees what others had taken before they let go of the row.
  await sql`select from placement.resource_provider where id = ${hostId} for update`.execute(tx)
  const { rows } = await sql<{ taken: number }>`
    with want as materialized (select * from ${wantRows(wanted)}),
    room as (
      select count(*) = ${wanted.length} as is_enough from want
      join placement.inventory i on i.provider_id = ${hostId} and i.resource_class = want.resource_class
      where ${fits}
    ), taken as (
      update placement.inventory i set used = i.used + want.amount from want, room
      where room.is_enough and i.provider_id = ${hostId} and i.resource_class = want.resource_class
    ), held as (
      insert into placement.allocation (consumer_id, provider_id, resource_class, used)
      select ${consumerId}::uuid, ${hostId}::uuid, want.resource_class, want.amount from want, room where room.is_enough
    ), raised as (
      update placement.resource_provider set generation = generation + 1, updated_at = now()
      where id = ${hostId} and (select is_enough from room)
    )
    select 1 as taken from room where is_enough`.execute(tx)
  return rows.length > 0
}
