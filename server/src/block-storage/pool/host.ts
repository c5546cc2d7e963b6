// What lies on a host, for whoever takes the host away.
import { sql } from "kysely"
import type { DbOrTx, Tx } from "../../platform/db/database.ts"

/** Volumes and snapshots whose data are there. */
export async function countVolumesOfHost(
  db: DbOrTx,
  host: string,
): Promise<{ volumes: number; snapshots: number }> {
  const { rows } = await sql<{ volumes: number; snapshots: number }>`select
    (select count(*) from block_storage.volume where host = ${host})
      + (select count(*) from block_storage.volume where target_host = ${host} and host <> ${host}) as volumes,
    (select count(*) from block_storage.snapshot where host = ${host}) as snapshots`.execute(db)
  return rows[0] ?? { volumes: 0, snapshots: 0 }
}

/** Its back ends, and what was still to be removed there. */
export async function forgetHostPools(tx: Tx, host: string): Promise<void> {
  await tx.deleteFrom("block_storage.pool").where("host", "=", host).execute()
  await tx.deleteFrom("block_storage.leftover").where("host", "=", host).execute()
}
