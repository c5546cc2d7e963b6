// What several hosts reach: pools that say the same share are the same storage, so a volume there can be any of these
// hosts'.
import { sql } from "kysely"
import type { Platform } from "../../platform/context/context.ts"
import type { DbOrTx } from "../../platform/db/database.ts"
import { type Place, upSince } from "./place.ts"

export async function isSameShare(db: DbOrTx, a: Place, b: Place): Promise<boolean> {
  const { rows } = await sql`select from block_storage.pool p join block_storage.pool q on q.share = p.share
    where p.host = ${a.host} and p.backend = ${a.backend} and q.host = ${b.host} and q.backend = ${b.backend}`.execute(
    db,
  )
  return rows.length > 0
}

/** Of the wanted host, by the same name if it can be. Undefined: the host does not reach the share now. */
export async function placeInShare(
  platform: Pick<Platform, "clock" | "config">,
  db: DbOrTx,
  { host, backend }: Place,
  wanted: string,
): Promise<Place | undefined> {
  const { rows } = await sql<Place>`select q.host, q.backend from block_storage.pool p
    join block_storage.pool q on q.share = p.share
    where p.host = ${host} and p.backend = ${backend} and q.host = ${wanted} and q.reported_at > ${upSince(platform)}
    order by q.backend <> ${backend}, q.backend limit 1`.execute(db)
  return rows[0]
}

/** What lies on one host, and which others can have it instead: none, while that one does not answer. */
export interface Reach {
  host: string
  others: readonly string[]
}

export interface ReachWish {
  volumeIds: readonly string[]
  snapshotIds: readonly string[]
  /** A host that is not waited for: what it had others can have, too. */
  lostHost?: string | null
}

/** Of volumes, and of what volumes are to be made from; those that have no data yet are left out. */
export async function reachOf(
  platform: Pick<Platform, "clock" | "config">,
  db: DbOrTx,
  { volumeIds, snapshotIds, lostHost = null }: ReachWish,
): Promise<Reach[]> {
  if (volumeIds.length + snapshotIds.length === 0) return []
  const since = upSince(platform)
  const { rows } = await sql<Reach>`
    with lying as (
      select host, backend, group_id is null as is_free from block_storage.volume
        where id = any(${volumeIds}::uuid[]) and host is not null
      union select host, backend, true from block_storage.snapshot where id = any(${snapshotIds}::uuid[]))
    select distinct l.host, array(select distinct q.host from block_storage.pool p
        join block_storage.pool q on q.host <> p.host and q.reported_at > ${since}
          and (l.is_free and q.share = p.share or q.connects = p.connects and p.host is distinct from ${lostHost}::text)
        where (p.reported_at > ${since} or p.host = ${lostHost}::text) and p.host = l.host and p.backend = l.backend
        order by q.host) as others
      from lying l order by l.host`.execute(db)
  return rows
}

/** Whether machines of the wanted host reach what lies in the place, without its coming to them. */
export async function isConnected(
  platform: Pick<Platform, "clock" | "config">,
  db: DbOrTx,
  { host, backend }: Place,
  wanted: string,
): Promise<boolean> {
  const { rows } =
    await sql`select from block_storage.pool p join block_storage.pool q on q.connects = p.connects
    where p.host = ${host} and p.backend = ${backend} and q.host = ${wanted}
      and q.reported_at > ${upSince(platform)} limit 1`.execute(db)
  return rows.length > 0
}
