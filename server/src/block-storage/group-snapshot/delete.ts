import { sql } from "kysely"
import { Type } from "typebox"
import { transact } from "../../platform/db/database.ts"
import { operation } from "../../platform/operation/operation.ts"
import { snapshotInvalid } from "../faults.ts"
import { groupSnapshotInvalid, groupSnapshotNotFound } from "../group/faults.ts"
import { notifySnapshot } from "../snapshot/notification.ts"
import { snapshotStatuses } from "../snapshot/snapshot.ts"
import { claimSnapshot } from "../snapshot/store.ts"
import { targetOf } from "../viewer.ts"
import { actorOf } from "../volume/task.ts"
import { deleteGroupSnapshotSaga } from "./delete.saga.ts"
import { notifyGroupSnapshot } from "./notification.ts"
import { visibleGroupSnapshot } from "./read.ts"
import { claimGroupSnapshot } from "./store.ts"

export const deleteGroupSnapshot = operation({
  name: "block_storage.group_snapshot.delete",
  input: Type.Object({ id: Type.String() }),
  faults: [groupSnapshotNotFound, groupSnapshotInvalid, snapshotInvalid],
  load: (ctx, { id }) => visibleGroupSnapshot(ctx, id),
  rule: "group:delete_group_snapshot",
  target: (_ctx, _input, snapshot) => targetOf(snapshot),
  run: async (ctx, { id }) => {
    await transact(ctx.db, async (tx) => {
      const whole = await claimGroupSnapshot(tx, id, ["available", "error"], "deleting")
      const { rows: parts } = await sql<{ id: string }>`select id from block_storage.snapshot
        where group_snapshot_id = ${id} order by id for update`.execute(tx)
      const { rows } = await sql<Record<"isUsed" | "isReverting" | "isBackedUp", boolean>>`select
        exists (select from block_storage.snapshot
          where group_snapshot_id = ${id} and status = 'backing-up') as "isBackedUp",
        exists (select from block_storage.snapshot s join block_storage.volume v on v.snapshot_id = s.id
          where s.group_snapshot_id = ${id} and v.status = 'creating') as "isUsed",
        exists (select from block_storage.snapshot s join block_storage.volume v on v.id = s.volume_id
          where s.group_snapshot_id = ${id} and v.status = 'reverting') as "isReverting"`.execute(tx)
      if (rows[0]?.isUsed)
        throw groupSnapshotInvalid(
          "GroupSnapshot status must be available or error, and no Group can be currently using it as source for its creation.",
        )
      if (rows[0]?.isReverting)
        throw groupSnapshotInvalid("a volume gets the data of one of its snapshots; wait for that.")
      if (rows[0]?.isBackedUp)
        throw groupSnapshotInvalid("one of its snapshots is being backed up; wait for that.")
      const actor = actorOf(ctx)
      await notifyGroupSnapshot(ctx, tx, whole, "delete.start", actor)
      const snapshots: { snapshotId: string; generation: number }[] = []
      for (const { id: snapshotId } of parts) {
        const snapshot = await claimSnapshot(tx, snapshotId, snapshotStatuses, "deleting")
        await notifySnapshot(ctx, tx, snapshot, "delete.start", actor)
        snapshots.push({ snapshotId, generation: snapshot.generation })
      }
      const params = { groupSnapshotId: id, generation: whole.generation, ...actor, snapshots }
      await ctx.sagas.start(tx, deleteGroupSnapshotSaga, params, { requestId: ctx.requestId, resourceId: id })
    })
  },
})
