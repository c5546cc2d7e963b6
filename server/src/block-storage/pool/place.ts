// Where a new volume goes: the back end with the most room among those that its type allows. What is promised is
// counted on the pool's row, in the transaction that places the volume.
import { type RawBuilder, sql } from "kysely"
import type { Ctx, Platform } from "../../platform/context/context.ts"
import type { DbOrTx, Tx } from "../../platform/db/database.ts"
import { fieldsOf } from "../../platform/noun/noun.ts"
import { noValidBackend } from "../faults.ts"
import { fitsExtraSpecs } from "./capabilities.ts"
import { type Pool, poolNoun } from "./pool.ts"

export interface Place {
  host: string
  backend: string
}

export interface PlaceWish {
  sizeGib: number
  extraSpecs: Readonly<Record<string, string>>
  /** All of these as well, of a group whose volumes are of several types. */
  alsoSpecs?: readonly Readonly<Record<string, string>>[]
  /** Only there: where its source lies. */
  at?: Place | null
  /** Only on this host. */
  host?: string | null
  /** On this host if it can be, or where it is reached from there: for a server that is there. */
  reachedFrom?: string | null
}

export const gib = 1024 ** 3
/** Pools are looked at in pages, those with the most room first. */
const pageSize = 100

/** Throws `noValidBackend` with the reason. */
export async function claimPlace(ctx: Ctx, tx: Tx, wish: PlaceWish): Promise<Place> {
  const refused: Refusals = new Map()
  for (let offset = 0; ; offset += pageSize) {
    const pools = await candidates(ctx, tx, wish, offset)
    for (const pool of pools) {
      const why = whyNot(ctx, pool, wish)
      if (why === null && (await promise(ctx, tx, pool, wish.sizeGib * gib)))
        return { host: pool.host, backend: pool.backend }
      note(refused, why ?? "room that others have taken meanwhile")
    }
    if (pools.length < pageSize) break
  }
  const silent = await countSilent(ctx, tx, wish)
  if (silent > 0) refused.set("a host that answers", silent)
  throw noValidBackend(summary(refused))
}

/** More of what a volume has already, for one that grows. Throws `noValidBackend`. */
export async function claimMore(ctx: Ctx, tx: Tx, { host, backend }: Place, moreGib: number): Promise<void> {
  const [pool] = await poolsWhere(tx, sql`host = ${host} and backend = ${backend}`, 0)
  if (pool && (await promise(ctx, tx, pool, moreGib * gib))) return
  throw noValidBackend("Its back end has no room for that.")
}

/** Repeatable only with the rows that it belongs to: in the transaction that changes them. */
export async function giveBack(tx: Tx, { host, backend }: Place, sizeGib: number): Promise<void> {
  await tx
    .updateTable("block_storage.pool")
    .set({ promised_bytes: sql<number>`greatest(0, promised_bytes - ${sizeGib * gib}::bigint)` })
    .where("host", "=", host)
    .where("backend", "=", backend)
    .execute()
}

/** What lies in one share has become another host's: nothing more is promised than was. */
export async function carryRoom(tx: Tx, from: Place, to: Place, sizeGib: number): Promise<void> {
  // In one order for all: others carry from there to here.
  await sql`select from block_storage.pool where (host, backend) in
    ((${from.host}, ${from.backend}), (${to.host}, ${to.backend})) order by host, backend for update`.execute(
    tx,
  )
  await giveBack(tx, from, sizeGib)
  await tx
    .updateTable("block_storage.pool")
    .set({ promised_bytes: sql<number>`promised_bytes + ${sizeGib * gib}::bigint` })
    .where("host", "=", to.host)
    .where("backend", "=", to.backend)
    .execute()
}

/** Those whose hosts answer. */
async function candidates(ctx: Ctx, tx: Tx, wish: PlaceWish, offset: number): Promise<Pool[]> {
  return await poolsWhere(
    tx,
    sql`${placesOf(wish)} and reported_at > ${upSince(ctx)}`,
    offset,
    wish.reachedFrom,
  )
}

async function countSilent(ctx: Ctx, tx: Tx, wish: PlaceWish): Promise<number> {
  const { rows } = await sql<{ count: number }>`select count(*)::int as count from block_storage.pool
    where ${placesOf(wish)} and reported_at <= ${upSince(ctx)}`.execute(tx)
  return rows[0]?.count ?? 0
}

function placesOf({ at, host, reachedFrom }: PlaceWish): RawBuilder<boolean> {
  if (at) return sql`host = ${at.host} and backend = ${at.backend}`
  // A back end that is shared is reported by each of its hosts.
  if (host) return sql`host = ${host}`
  return reachedFrom
    ? sql`(host = ${reachedFrom} or connects in
        (select own.connects from block_storage.pool own where own.host = ${reachedFrom}))`
    : sql`true`
}

/** As `isPoolUp`. */
export const upSince = ({ clock, config }: Pick<Platform, "clock" | "config">) =>
  new Date(clock.now().getTime() - config.blockStorage.poolDownAfterMs)

async function poolsWhere(
  db: DbOrTx,
  where: RawBuilder<unknown>,
  offset: number,
  first: string | null = null,
): Promise<Pool[]> {
  const { rows } = await sql<Pool>`select ${sql.join(fieldsOf(poolNoun, undefined as never))}
    from block_storage.pool as pool where ${where}
    order by ${first === null ? sql`` : sql`host <> ${first},`} free_bytes desc, host, backend limit ${pageSize} offset ${offset}`.execute(
    db,
  )
  return rows
}

function whyNot(ctx: Ctx, pool: Pool, { sizeGib, extraSpecs, alsoSpecs = [] }: PlaceWish): string | null {
  const { reservedBytes } = ctx.config.blockStorage
  if (pool.isDisabled) return "a back end that is enabled"
  if (![extraSpecs, ...alsoSpecs].every((specs) => fitsExtraSpecs(pool, specs)))
    return "what the volume type asks for"
  const needed = pool.abilities.thinProvisioning ? 0 : sizeGib * gib
  if (pool.freeBytes < reservedBytes + needed) return "free space"
  if (pool.promisedBytes + sizeGib * gib > promisable(ctx, pool)) return "room that is not promised yet"
  return null
}

function promisable(ctx: Ctx, { abilities, totalBytes }: Pool): number {
  return abilities.thinProvisioning ? totalBytes * ctx.config.blockStorage.oversubscriptionRatio : totalBytes
}

/** False: others were faster. */
async function promise(ctx: Ctx, tx: Tx, pool: Pool, bytes: number): Promise<boolean> {
  const most = Math.floor(promisable(ctx, pool))
  const { share } = pool
  // What is promised of a share stands on the rows of all its hosts: one at a time adds to it.
  if (share !== null)
    await sql`select pg_advisory_xact_lock(hashtextextended(${`block_storage.share:${share}`}, 0))`.execute(
      tx,
    )
  const promised =
    share === null
      ? sql`promised_bytes`
      : sql`(select sum(same.promised_bytes) from block_storage.pool same where same.share = ${share})`
  const { numUpdatedRows } = await tx
    .updateTable("block_storage.pool")
    .set({ promised_bytes: sql<number>`promised_bytes + ${bytes}::bigint` })
    .where("host", "=", pool.host)
    .where("backend", "=", pool.backend)
    .where(sql<boolean>`${promised} + ${bytes}::bigint <= ${most}::bigint`)
    .executeTakeFirstOrThrow()
  return numUpdatedRows > 0n
}

type Refusals = Map<string, number>

function note(refused: Refusals, why: string): void {
  refused.set(why, (refused.get(why) ?? 0) + 1)
}

function summary(refused: Refusals): string {
  if (refused.size === 0) return "No host of this cloud has a back end for volumes there."
  return [...refused].map(([why, count]) => `${count} ${count === 1 ? "has" : "have"} not ${why}.`).join(" ")
}
