// What hosts report of their back ends.
import { sql } from "kysely"
import type { VolumePool } from "../../agent/protocol.ts"
import type { Platform } from "../../platform/context/context.ts"

export interface HostPools {
  host: string
  pools: readonly VolumePool[]
}

/** Of any number of hosts, in one statement. A back end that a host leaves out grows old, and gets no new volumes. */
export async function notePools(
  { db, clock }: Pick<Platform, "db" | "clock">,
  reports: readonly HostPools[],
): Promise<void> {
  const rows = reports.flatMap(({ host, pools }) =>
    pools.map(({ backend, totalBytes, freeBytes, abilities }) => ({
      host,
      backend,
      totalBytes,
      freeBytes,
      abilities,
    })),
  )
  if (rows.length === 0) return
  await sql`insert into block_storage.pool (host, backend, total_bytes, free_bytes, abilities, reported_at)
    select host, backend, total_bytes, free_bytes, abilities, ${clock.now()} from jsonb_to_recordset(${JSON.stringify(
      rows.map((row) => ({
        host: row.host,
        backend: row.backend,
        total_bytes: row.totalBytes,
        free_bytes: row.freeBytes,
        abilities: row.abilities,
      })),
    )}::jsonb) as r(host text, backend text, total_bytes bigint, free_bytes bigint, abilities jsonb)
    order by host, backend
    on conflict (host, backend) do update set total_bytes = excluded.total_bytes, free_bytes = excluded.free_bytes,
      abilities = excluded.abilities, reported_at = excluded.reported_at`.execute(db)
}
