import { sql } from "kysely"
import type { Tx } from "../../platform/db/database.ts"
import { volumeInvalid } from "../faults.ts"
import { isBeingCopied } from "../volume/copies.ts"
import type { Volume } from "../volume/volume.ts"

/**
 * A group has one project: neither its volumes nor their snapshots go to another. And what is still being made of the
 * volume would have what its next owner writes.
 */
export async function mustBeAlone(
  tx: Tx,
  { id, groupId }: Volume,
  { keepsSnapshots }: { keepsSnapshots: boolean },
): Promise<void> {
  if (groupId !== null) throw volumeInvalid(`Volume ${id} must not be part of a group.`)
  if (await isBeingCopied(tx, id)) throw volumeInvalid(`Volume ${id} is being copied; wait for that.`)
  if (keepsSnapshots) return
  const { rows } = await sql`select from block_storage.snapshot
    where volume_id = ${id} and group_snapshot_id is not null limit 1`.execute(tx)
  if (rows.length > 0) throw volumeInvalid(`Volume ${id} must not have snapshots of a group snapshot.`)
}
