// SQL of images that are to come to hosts.
import { sql } from "kysely"
import type { Db, DbOrTx, Tx } from "../../platform/db/database.ts"

/** Higher than all before: the host refuses what is older than what it has seen of an image. */
export async function nextCacheGeneration(tx: Tx): Promise<number> {
  const { rows } = await sql<{ n: number }>`select nextval('image.cache_generation')::float8 as n`.execute(tx)
  return rows[0]?.n ?? 0
}

export interface CacheWish {
  imageId: string
  generation: number
}

/** A later wish takes the place of one that was not fulfilled yet. */
export async function queueForHosts(
  tx: Tx,
  { imageId, generation }: CacheWish,
  hosts: readonly string[],
  now: Date,
): Promise<void> {
  await sql`insert into image.cache_queue (image_id, host, generation, queued_at)
    select ${imageId}::uuid, host, ${generation}, ${now}::timestamptz from unnest(${[...hosts]}::text[]) as host
    on conflict (image_id, host) do update set generation = excluded.generation, queued_at = excluded.queued_at`.execute(
    tx,
  )
}

/** The hosts that this wish is still for. */
export async function queuedHosts(db: Db, { imageId, generation }: CacheWish): Promise<string[]> {
  const rows = db
    .selectFrom("image.cache_queue")
    .select("host")
    .where("image_id", "=", imageId)
    .where("generation", "=", generation)
    .orderBy("host")
  return (await rows.execute()).map(({ host }) => host)
}

export async function isQueued(db: Db, wish: CacheWish, host: string): Promise<boolean> {
  return (await queuedHosts(db, wish)).includes(host)
}

/** Of one host, or of all. */
export async function takeFromQueue(
  tx: DbOrTx,
  { imageId, generation }: CacheWish,
  host?: string,
): Promise<void> {
  let rows = tx
    .deleteFrom("image.cache_queue")
    .where("image_id", "=", imageId)
    .where("generation", "=", generation)
  if (host !== undefined) rows = rows.where("host", "=", host)
  await rows.execute()
}

/** All wishes for the image, or for every image. */
export async function emptyQueue(tx: Tx, imageId: string | null): Promise<void> {
  let rows = tx.deleteFrom("image.cache_queue")
  if (imageId !== null) rows = rows.where("image_id", "=", imageId)
  await rows.execute()
}

/** The first that was asked for comes first. */
export async function queuedImages(db: Db): Promise<string[]> {
  const rows = db
    .selectFrom("image.cache_queue")
    .select("image_id")
    .groupBy("image_id")
    .orderBy(sql`min(generation)`)
    .limit(queueShownMost)
  return (await rows.execute()).map((row) => row.image_id)
}

const queueShownMost = 10_000
