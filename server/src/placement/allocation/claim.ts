// A claim takes the first host, in the caller's order of preference, that has room for all of it. Every claim on a host
// locks the host's row first, so two claims on it come one after the other, and the amounts are added only where
// they still fit: of two claims on the last place exactly one wins, and the other one goes on to the next host. With
// one host to choose from, which is most creations, all of it is one statement.
import { type RawBuilder, sql } from "kysely"
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
  const [first, ...others] = claim.candidates
  const onlyHost = others.length === 0 ? first : undefined
  const { isNew, taken } = await lockConsumer(tx, claim, { hostId: onlyHost, wanted })
  if (onlyHost !== undefined && isNew) {
    if (taken === wanted.length) return { hostId: onlyHost }
    await giveBack(tx, claim.consumerId)
    throw noCapacity(Object.fromEntries(wanted))
  }
  const held = isNew ? [] : await readHeld(tx, claim.consumerId)
  const heldOn = sameClaim(held, wanted, claim.candidates)
  if (heldOn) return { hostId: heldOn }
  if (held.length > 0) await giveBack(tx, claim.consumerId)
  const open = [...claim.candidates]
  while (open.length > 0) {
    const only = open.length === 1
    const hostId = only ? open[0] : await firstWithRoom(tx, open, wanted)
    if (!hostId) break
    if (await orLetGo(tx, () => take(tx, claim.consumerId, hostId, wanted))) return { hostId }
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

interface Want {
  hostId: string | undefined
  /** Resource class and amount. */
  wanted: readonly [string, number][]
}

/** Whether there was no such consumer; then it takes what fits of what is wanted, and says how many classes did. */
async function lockConsumer(
  tx: Tx,
  owner: Pick<Claim, "consumerId" | "projectId" | "userId" | "consumerType">,
  { hostId, wanted }: Want = { hostId: undefined, wanted: [] },
): Promise<{ isNew: boolean; taken: number }> {
  const { rows } = await sql<{ generation: number; taken: number }>`
    with consumer as (
      insert into placement.consumer (id, project_id, user_id, consumer_type, generation)
      values (${owner.consumerId}, ${owner.projectId}, ${owner.userId}, ${owner.consumerType ?? "INSTANCE"}, 1)
      on conflict (id) do update set generation = placement.consumer.generation + 1, updated_at = now(),
        project_id = excluded.project_id, user_id = excluded.user_id, consumer_type = excluded.consumer_type
      returning generation
    ), ${taking(owner.consumerId, hostId, wanted, sql`(select generation from consumer) = 1`)}
    select generation, (select count(*) from taken)::int as taken from consumer`.execute(tx)
  const { generation = 1, taken = 0 } = rows[0] ?? {}
  return { isNew: generation === 1, taken }
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

/** Whether it took all of it; when not, some of it may be taken: the caller goes back to before. */
async function take(
  tx: Tx,
  consumerId: string,
  hostId: string,
  wanted: readonly [string, number][],
): Promise<boolean> {
  const { rows } = await sql<{ taken: number }>`
    with ${taking(consumerId, hostId, wanted, sql`true`)}
    select count(*)::int as taken from taken`.execute(tx)
  return rows[0]?.taken === wanted.length
}

/**
 * Parts of a statement: each class that fits is taken, `taken` has a row for each. Amounts are added to the row as it is
 * when the host's lock is given, and only where they fit that one: PostgreSQL looks at a changed row's conditions again.
 */
function taking(
  consumerId: string,
  hostId: string | undefined,
  wanted: readonly [string, number][],
  condition: RawBuilder<unknown>,
): RawBuilder<unknown> {
  return sql`want as materialized (select * from ${wantRows(wanted)}),
    host as materialized (
      select id from placement.resource_provider where id = ${hostId ?? null}::uuid and ${condition} for update
    ), taken as (
      update placement.inventory i set used = i.used + want.amount from want, host
      where i.provider_id = host.id and i.resource_class = want.resource_class and ${fits}
      returning i.provider_id, i.resource_class, want.amount
    ), held as (
      insert into placement.allocation (consumer_id, provider_id, resource_class, used)
      select ${consumerId}::uuid, provider_id, resource_class, amount from taken
    ), raised as (
      update placement.resource_provider p set generation = p.generation + 1, updated_at = now()
      from host where p.id = host.id and exists (select from taken)
    )`
}
