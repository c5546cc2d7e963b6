import { sql } from "kysely"
import type { Tx } from "../../platform/db/database.ts"
import { fieldsOf } from "../../platform/noun/noun.ts"
import { snapshotInvalid, snapshotNotFound, snapshotSuperseded } from "../faults.ts"
import { taskRows } from "../task-row.ts"
import { everything } from "../viewer.ts"
import { type Snapshot, type SnapshotStatus, snapshotNoun } from "./snapshot.ts"

const snapshotFields = fieldsOf(snapshotNoun, everything)

/** What a saga of a snapshot holds. */
export interface SnapshotTask {
  snapshotId: string
  generation: number
}

type SnapshotChanges = { status: SnapshotStatus; problem: string | null } | { has_room: boolean }

const rows = taskRows({
  noun: snapshotNoun,
  idOf: ({ snapshotId }: SnapshotTask) => snapshotId,
  columns: (changes: SnapshotChanges) => ({ ...changes }),
  superseded: snapshotSuperseded,
})

export const {
  select: selectSnapshot,
  held: heldSnapshot,
  change: changeSnapshot,
  advance: advanceSnapshot,
  remove: removeSnapshot,
} = rows

export async function claimSnapshot(
  tx: Tx,
  id: string,
  from: readonly SnapshotStatus[],
  status: SnapshotStatus,
): Promise<Snapshot> {
  const claimed = await rows.take(tx, id, from, status)
  if (claimed) return claimed
  const now = await selectSnapshot(tx, id)
  if (!now) throw snapshotNotFound(id)
  throw snapshotInvalid(
    `Snapshot ${id} status must be ${from.join(" or ")}, but current status is: ${now.status}.`,
  )
}

/** All of the volume, held until the transaction ends: no task begins with one of them. */
export async function lockSnapshotsOf(tx: Tx, volumeId: string): Promise<Snapshot[]> {
  return await tx
    .selectFrom("block_storage.snapshot")
    .select(snapshotFields)
    .where("volume_id", "=", volumeId)
    .orderBy("id")
    .forUpdate()
    .$castTo<Snapshot>()
    .execute()
}

/** For the task that deletes their volume with them, which holds it: these, whatever task they are in. */
export async function claimWithVolume(tx: Tx, snapshots: readonly Snapshot[]): Promise<void> {
  if (snapshots.length === 0) return
  await tx
    .updateTable("block_storage.snapshot")
    .set({ status: "deleting", generation: sql<number>`generation + 1`, updated_at: sql<Date>`now()` })
    .where(
      "id",
      "in",
      snapshots.map(({ id }) => id),
    )
    .execute()
}
