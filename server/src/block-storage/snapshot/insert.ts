// What every creation of a snapshot does, whoever begins it.
import type { Ctx } from "../../platform/context/context.ts"
import { jsonb, type Tx } from "../../platform/db/database.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { insertThing } from "../../platform/noun/list.ts"
import { volumeInvalid } from "../faults.ts"
import type { Place } from "../pool/place.ts"
import { everything } from "../viewer.ts"
import { movingRefusal } from "../volume/state.ts"
import type { Volume, VolumeStatus } from "../volume/volume.ts"
import { type Snapshot, snapshotNoun } from "./snapshot.ts"

/** Where the volume lies, which is locked. Throws when no snapshot of it is begun now. */
export function placeToSnapshot(volume: Volume, from: readonly VolumeStatus[]): Place {
  const { id, host, backend, status, targetHost } = volume
  if (targetHost !== null) throw volumeInvalid(movingRefusal("take a snapshot of", id))
  if (host === null || backend === null) throw volumeInvalid(`Volume ${id} has no data yet.`)
  if (!from.includes(status))
    throw volumeInvalid(
      `Volume ${id} status must be ${from.join(" or ")} to take a snapshot, but current status is: ${status}.`,
    )
  return { host, backend }
}

export interface NewSnapshotRow extends Place {
  volumeId: string
  projectId: string
  name: string | null
  description: string | null
  sizeGib: number
  metadata: Readonly<Record<string, string>>
  groupSnapshotId?: string
}

/** Its saga, the event and the look at the quota are the caller's. */
export async function insertSnapshotRow(ctx: Ctx, tx: Tx, row: NewSnapshotRow): Promise<Snapshot> {
  const made = await insertThing(tx, snapshotNoun, everything, {
    values: {
      id: newUuid(),
      volume_id: row.volumeId,
      project_id: row.projectId,
      user_id: ctx.caller.userId,
      name: row.name,
      description: row.description,
      size_gib: row.sizeGib,
      status: "creating",
      metadata: jsonb(row.metadata),
      host: row.host,
      backend: row.backend,
      group_snapshot_id: row.groupSnapshotId,
      created_at: ctx.clock.now(),
    },
  })
  if (!made) throw new Error("the id of a new snapshot is taken")
  return made
}
