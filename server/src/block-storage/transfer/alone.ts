import { sql } from "kysely"
import type { Tx } from "../../platform/db/database.ts"
import { volumeInvalid } from "../faults.ts"
import type { Volume } from "../volume/volume.ts"

/** A group has one project: neither its volumes nor their snapshots go to another. */
export async function mustBeAlone(
  tx: Tx,
  { id, groupId }: Volume,
  { keepsSnapshots }: { keepsSnapshots: boolean },
): Promise<void> {
  if (groupId !== null) throw volumeInvalid(`Volume ${id} must not be part of a group.`)
  if (keepsSnapshots) return
  const { rows } = await sql`select from block_storage.snapshot
    where volume_id = ${id} and group_snapshot_id is not null limit 1`.execute(tx)
  if (rows.length > 0) throw volumeInvalid(`Volume ${id} must not have snapshots of a group snapshot.`)
}
