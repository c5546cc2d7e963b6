// A claim takes the first host, in the caller's order of preference, that has room for all of it. Every claim on a host
// locks the host's row first, so two claims on it come one after the other, and the amounts are added only where
// they still fit: of two claims on the last place exactly one wins, and the other one goes on to the next host. The
// first of the hosts is found, locked and taken in the statement that makes the consumer; only who loses a race, or
// finds the first few full, needs more than this one.
import { type RawBuilder, sql } from "kysely"
import type { DbOrTx, Tx } from "../../platform/db/database.ts"
import { unawaited } from "../../platform/db/named-statements.ts"
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
  const isOnly = claim.candidates.length === 1
  const firstFew = claim.candidates.slice(0, firstTried)
  if (!isOnly) await sql`savepoint placement_claim ${sql.raw(unawaited)}`.execute(tx)
  const first = await lockConsumer(tx, claim, { candidates: firstFew, wanted })
  if (!first.isNew) return await claimAnew(tx, claim, wanted)
  if (first.hostId !== null && first.taken === wanted.length) return { hostId: first.hostId }
  if (isOnly) {
    await giveBack(tx, claim.consumerId)
    throw noCapacity(Object.fromEntries(wanted))
  }
  // None of the first few has room: nothing of a host is held.
  if (first.hostId === null) return await takeOne(tx, claim, wanted, claim.candidates.slice(firstTried))
  // Somebody was faster: the host's row is let go before others are tried.
  await sql`rollback to savepoint placement_claim`.execute(tx)
  await lockConsumer(tx, claim)
  return await takeOne(tx, claim, wanted, claim.candidates)
}

/** Hosts that the first statement looks at: with room for all of it by what was read before, the first one usually does. */
const firstTried = 4

/** By one who held something before. */
async function claimAnew(tx: Tx, claim: Claim, wanted: Wanted): Promise<{ hostId: string }> {
  const held = await readHeld(tx, claim.consumerId)
  const heldOn = sameClaim(held, wanted, claim.candidates)
  if (heldOn) return { hostId: heldOn }
  if (held.length > 0) await giveBack(tx, claim.consumerId)
  return await takeOne(tx, claim, wanted, claim.candidates)
}

async function takeOne(
  tx: Tx,
  claim: Claim,
  wanted: Wanted,
  candidates: readonly string[],
): Promise<{ hostId: string }> {
  const open = [...candidates]
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
  wanted: Wanted,
  candidates: readonly string[],
): string | undefined {
  const hostId = held[0]?.provider_id
  if (!hostId || held.length !== wanted.length || !candidates.includes(hostId)) return undefined
  const isSame = wanted.every(([name, amount]) =>
    held.some((h) => h.provider_id === hostId && h.resource_class === name && h.used === amount),
  )
  return isSame ? hostId : undefined
}

/** Resource class and amount. */
type Wanted = readonly [string, number][]

interface Locked {
  isNew: boolean
  /** The host that had room; null: none, or nothing was asked for. */
  hostId: string | null
  /** How many classes it had room for when its row was locked. */
  taken: number
}

/** Whether there was no such consumer; then it takes what is wanted of the first candidate with room. */
async function lockConsumer(
  tx: Tx,
  owner: Pick<Claim, "consumerId" | "projectId" | "userId" | "consumerType">,
  { candidates, wanted }: { candidates: readonly string[]; wanted: Wanted } = { candidates: [], wanted: [] },
): Promise<Locked> {
  const isFirst = sql`(select generation from consumer) = 1`
  const host = sql`select p.id from ${candidateRows(candidates)}
      join placement.resource_provider p on p.id = candidate.id
      where ${isFirst} and ${hasRoom} order by candidate.rank limit 1 for update of p`
  const { rows } = await sql<{ generation: number; hostId: string | null; taken: number }>`
    with consumer as (
      insert into placement.consumer (id, project_id, user_id, consumer_type, generation)
      values (${owner.consumerId}, ${owner.projectId}, ${owner.userId}, ${owner.consumerType ?? "INSTANCE"}, 1)
      on conflict (id) do update set generation = placement.consumer.generation + 1, updated_at = now(),
        project_id = excluded.project_id, user_id = excluded.user_id, consumer_type = excluded.consumer_type
      returning generation
    ), ${taking(owner.consumerId, host, wanted)}
    select generation, (select id from host) as "hostId", (select count(*) from taken)::int as taken
    from consumer`.execute(tx)
  const { generation = 1, hostId = null, taken = 0 } = rows[0] ?? {}
  return { isNew: generation === 1, hostId, taken }
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

const wantRows = (wanted: Wanted) =>
  sql`unnest(${wanted.map(([name]) => name)}::text[], ${wanted.map(([, amount]) => amount)}::bigint[])
      as want (resource_class, amount)`

const candidateRows = (candidates: readonly string[]) =>
  sql`unnest(${[...candidates]}::uuid[]) with ordinality as candidate (id, rank)`

const fits = sql<boolean>`i.used + want.amount <= i.capacity and want.amount between i.min_unit and i.max_unit
      and mod(want.amount, i.step_size) = 0`

/** Of a provider `p`, with `want` beside it. */
const hasRoom = sql<boolean>`not exists (
      select from want where not exists (
        select from placement.inventory i
        where i.provider_id = p.id and i.resource_class = want.resource_class and ${fits}))`

async function firstWithRoom(
  tx: Tx,
  candidates: readonly string[],
  wanted: Wanted,
): Promise<string | undefined> {
  const found = await sql<{ id: string }>`
    with want as materialized (select * from ${wantRows(wanted)})
    select p.id from ${candidateRows(candidates)} join placement.resource_provider p on p.id = candidate.id
    where ${hasRoom} order by candidate.rank limit 1`.execute(tx)
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
async function take(tx: Tx, consumerId: string, hostId: string, wanted: Wanted): Promise<boolean> {
  const host = sql`select id from placement.resource_provider where id = ${hostId}::uuid for update`
  const { rows } = await sql<{ taken: number }>`
    with ${taking(consumerId, host, wanted)}
    select count(*)::int as taken from taken`.execute(tx)
  return rows[0]?.taken === wanted.length
}

/**
 * Parts of a statement: each class that fits is taken, `taken` has a row for each. Amounts are added to the row as it is
 * when the host's lock is given, and only where they fit that one: PostgreSQL looks at a changed row's conditions again.
 */
function taking(consumerId: string, host: RawBuilder<unknown>, wanted: Wanted): RawBuilder<unknown> {
  return sql`want as materialized (select * from ${wantRows(wanted)}),
    host as materialized (${host}
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
