import { saga, withLog } from "../../engine/saga/saga.ts"
import { removeAllData } from "../leftover/remove.ts"
import { giveBack } from "../pool/place.ts"
import { abandonSnapshot } from "../snapshot/create.saga.ts"
import { notifySnapshot } from "../snapshot/notification.ts"
import { heldSnapshot, removeSnapshot } from "../snapshot/store.ts"
import { dataOf, snapshotTasks } from "./create.saga.ts"
import { notifyGroupSnapshot } from "./notification.ts"
import {
  abandonGroupSnapshot,
  type GroupSnapshotTask,
  heldGroupSnapshot,
  removeGroupSnapshot,
} from "./store.ts"

export const deleteGroupSnapshotSaga = saga<GroupSnapshotTask>("block_storage.group_snapshot.delete", 1)
  .step("data", {
    waits: true,
    do: async ({ ctx, params, fence, signal }) => {
      await heldGroupSnapshot(ctx, params)
      const snapshots = await Promise.all(snapshotTasks(params).map((task) => heldSnapshot(ctx, task)))
      return await removeAllData(ctx, dataOf(snapshots, fence), signal)
    },
    timeoutMs: 1_800_000,
  })
  .step("rows", {
    do: ({ ctx, params }) =>
      withLog(async (tx) => {
        const whole = await heldGroupSnapshot({ db: tx }, params)
        for (const task of snapshotTasks(params)) {
          const snapshot = await heldSnapshot({ db: tx }, task)
          if (snapshot.hasRoom) await giveBack(tx, snapshot, snapshot.sizeGib)
          await removeSnapshot(tx, task)
          await notifySnapshot(ctx, tx, snapshot, "delete.end", task)
        }
        await removeGroupSnapshot(tx, params)
        await notifyGroupSnapshot(ctx, tx, whole, "delete.end", params)
      }),
  })
  .onUnwound(({ ctx, params, failure }) =>
    withLog(async (tx) => {
      const how = { action: "delete", status: "error_deleting", failure } as const
      for (const task of snapshotTasks(params)) await abandonSnapshot(ctx, tx, task, how)
      await abandonGroupSnapshot(ctx, tx, params, "delete", failure)
    }),
  )
