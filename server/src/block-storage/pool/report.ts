// What hosts report of their back ends.
import { sql } from "kysely"
import type { VolumePool } from "../../agent/protocol.ts"
import type { Platform } from "../../platform/context/context.ts"
import type { Db } from "../../platform/db/database.ts"
import type { Place } from "./place.ts"

export interface HostPools {
  host: string
  pools: readonly VolumePool[]
}

/** Of a host: whoever says something else each time fills no table. */
const poolsMost = 64

/**
 * Of any number of hosts, in one statement. A back end that a host leaves out grows old, and gets no new volumes; if
 * nothing is there, it is forgotten.
 */
export async function notePools(
  { db, clock }: Pick<Platform, "db" | "clock">,
  reports: readonly HostPools[],
): Promise<void> {
  if (reports.length === 0) return
  await forgetOthers(db, reports)
  const rows = reports.flatMap(({ host, pools }) =>
    pools.map(({ backend, totalBytes, freeBytes, abilities, share = null, connects = null }) => ({
      ...{ host, backend, abilities, share, connects },
      total_bytes: totalBytes,
      free_bytes: freeBytes,
    })),
  )
  if (rows.length === 0) return
  await sql`with told as (select r.*, p.host is not null as is_known,
        row_number() over (partition by r.host order by p.host is null, r.backend) as nth,
        (select count(*) from block_storage.pool o where o.host = r.host)
          - count(p.host) over (partition by r.host) as others
      from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb)
        as r(host text, backend text, total_bytes bigint, free_bytes bigint, abilities jsonb,
          share text, connects text)
      left join block_storage.pool p on p.host = r.host and p.backend = r.backend)
    insert into block_storage.pool (host, backend, total_bytes, free_bytes, abilities, share, connects, reported_at)
    select host, backend, total_bytes, free_bytes, abilities, share, connects, ${clock.now()} from told
    where is_known or others + nth <= ${poolsMost} order by host, backend
    on conflict (host, backend) do update set total_bytes = excluded.total_bytes, free_bytes = excluded.free_bytes,
      abilities = excluded.abilities, share = excluded.share, connects = excluded.connects,
      reported_at = excluded.reported_at`.execute(db)
}

/** Those of the hosts that they do not name. What an administrator has said of one is kept. */
async function forgetOthers(db: Db, reports: readonly HostPools[]): Promise<void> {
  const hosts = reports.map(({ host }) => host)
  const names = reports.flatMap(({ host, pools }) => pools.map(({ backend }) => `${host}@${backend}`))
  const { rows } = await sql<Place>`select host, backend from block_storage.pool
    where host = any(${hosts}::text[]) and name <> all(${names}::text[])
      and promised_bytes = 0 and not is_disabled`.execute(db)
  for (const place of rows) await forgetIfEmpty(db, place)
}

/** Room for what comes meanwhile is promised on the row, so it stays. */
async function forgetIfEmpty(db: Db, { host, backend }: Place): Promise<void> {
  await sql`delete from block_storage.pool
    where host = ${host} and backend = ${backend} and promised_bytes = 0 and not is_disabled
      and not exists (select from block_storage.volume where host = ${host} and backend = ${backend})
      and not exists (select from block_storage.volume where target_host = ${host} and target_backend = ${backend})
      and not exists (select from block_storage.snapshot where host = ${host} and backend = ${backend})
      and not exists (select from block_storage.leftover where host = ${host} and backend = ${backend})
      and not exists (select from block_storage.volume_group where host = ${host} and backend = ${backend})`.execute(
    db,
  )
}
