import { sql } from "kysely"
import type { DbOrTx, Tx } from "../../platform/db/database.ts"
import { findThing } from "../../platform/noun/list.ts"
import { fieldsOf } from "../../platform/noun/noun.ts"
import { snapshotInvalid, snapshotNotFound, snapshotSuperseded } from "../faults.ts"
import { everything } from "../viewer.ts"
import { type Snapshot, type SnapshotStatus, snapshotNoun } from "./snapshot.ts"

const snapshotFields = fieldsOf(snapshotNoun, everything)

/** What a saga of a snapshot holds. */
export interface SnapshotTask {
  snapshotId: string
  generation: number
}

export async function selectSnapshot(db: DbOrTx, id: string): Promise<Snapshot | undefined> {
  return await findThing(db, snapshotNoun, everything, id)
}

/** The row as long as this task holds it. */
export async function heldSnapshot({ db }: { db: DbOrTx }, task: SnapshotTask): Promise<Snapshot> {
  const snapshot = await selectSnapshot(db, task.snapshotId)
  if (snapshot?.generation !== task.generation) throw snapshotSuperseded(task.snapshotId)
  return snapshot
}

/** Takes it for a task: only from these statuses, with a new generation. */
export async function claimSnapshot(
  tx: Tx,
  id: string,
  from: readonly SnapshotStatus[],
  status: SnapshotStatus,
): Promise<Snapshot> {
  const claimed = await tx
    .updateTable("block_storage.snapshot")
    .set({ status, generation: sql<number>`generation + 1`, updated_at: sql<Date>`now()` })
    .where("id", "=", id)
    .where("status", "in", from)
    .returning(snapshotFields)
    .$castTo<Snapshot>()
    .executeTakeFirst()
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

type SnapshotChanges = { status: SnapshotStatus; problem: string | null } | { has_room: boolean }

/** Changes the row in the middle of a task; throws when another task has it now. */
export async function advanceSnapshot(
  tx: Tx,
  task: SnapshotTask,
  changes: SnapshotChanges,
): Promise<Snapshot> {
  const snapshot = await changeSnapshot(tx, task, changes)
  if (!snapshot) throw snapshotSuperseded(task.snapshotId)
  return snapshot
}

/** Throws when another task has it now: what it has is that one's to give back. */
export async function removeSnapshot(tx: Tx, { snapshotId, generation }: SnapshotTask): Promise<void> {
  const { numDeletedRows } = await tx
    .deleteFrom("block_storage.snapshot")
    .where("id", "=", snapshotId)
    .where("generation", "=", generation)
    .executeTakeFirstOrThrow()
  if (numDeletedRows === 0n) throw snapshotSuperseded(snapshotId)
}

/** A step of the task that holds this generation; undefined when another task has taken it since. */
export async function changeSnapshot(
  tx: Tx,
  { snapshotId, generation }: SnapshotTask,
  changes: SnapshotChanges,
): Promise<Snapshot | undefined> {
  return await tx
    .updateTable("block_storage.snapshot")
    .set({ ...changes, updated_at: sql<Date>`now()` })
    .where("id", "=", snapshotId)
    .where("generation", "=", generation)
    .returning(snapshotFields)
    .$castTo<Snapshot>()
    .executeTakeFirst()
}
