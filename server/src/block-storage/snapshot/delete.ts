import { sql } from "kysely"
import { Type } from "typebox"
import { type Tx, transact } from "../../platform/db/database.ts"
import { operation } from "../../platform/operation/operation.ts"
import { snapshotInvalid, snapshotNotFound } from "../faults.ts"
import { targetOf } from "../viewer.ts"
import { actorOf } from "../volume/task.ts"
import { deleteSnapshotSaga } from "./delete.saga.ts"
import { notifySnapshot } from "./notification.ts"
import { visibleSnapshot } from "./read.ts"
import { type Snapshot, snapshotStatuses } from "./snapshot.ts"
import { claimSnapshot } from "./store.ts"

export const deleteSnapshot = operation({
  name: "block_storage.snapshot.delete",
  input: Type.Object({ id: Type.String(), isForced: Type.Boolean() }),
  faults: [snapshotNotFound, snapshotInvalid],
  load: (ctx, { id }) => visibleSnapshot(ctx, id),
  rules: ["volume:delete_snapshot", "volume_extension:snapshot_admin_actions:force_delete"],
  authorize: (_ctx, { isForced }, snapshot) => {
    const rule = isForced ? "volume_extension:snapshot_admin_actions:force_delete" : "volume:delete_snapshot"
    return [[rule, targetOf(snapshot)]]
  },
  run: async (ctx, { id, isForced }) => {
    await transact(ctx.db, async (tx) => {
      const from = isForced ? snapshotStatuses : (["available", "error"] as const)
      const snapshot = await claimSnapshot(tx, id, from, "deleting")
      await mustBeIdle(tx, snapshot)
      const actor = actorOf(ctx)
      await notifySnapshot(ctx, tx, snapshot, "delete.start", actor)
      const params = { snapshotId: id, generation: snapshot.generation, ...actor }
      await ctx.sagas.start(tx, deleteSnapshotSaga, params, { requestId: ctx.requestId, resourceId: id })
    })
  },
})

/** Nothing is made from it now, and it is no part of a group's. */
export async function mustBeIdle(tx: Tx, { id, volumeId, groupSnapshotId }: Snapshot): Promise<void> {
  if (groupSnapshotId !== null)
    throw snapshotInvalid(
      `Snapshot ${id} must not be part of a group: delete group snapshot ${groupSnapshotId}.`,
    )
  const { rows } = await sql<{ isUsed: boolean; isReverting: boolean }>`select
    exists (select from block_storage.volume where status = 'creating' and snapshot_id = ${id}) as "isUsed",
    exists (select from block_storage.volume where id = ${volumeId} and status = 'reverting') as "isReverting"`.execute(
    tx,
  )
  if (rows[0]?.isUsed) throw snapshotInvalid(`A volume is being made from snapshot ${id}; wait for that.`)
  if (rows[0]?.isReverting)
    throw snapshotInvalid(`Volume ${volumeId} gets the data of a snapshot; wait for that.`)
}
