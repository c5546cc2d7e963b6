import { saga, withLog } from "../../engine/saga/saga.ts"
import { removeData } from "../leftover/remove.ts"
import { giveBack } from "../pool/place.ts"
import type { Actor } from "../volume/notification.ts"
import { abandonSnapshot } from "./create.saga.ts"
import { notifySnapshot } from "./notification.ts"
import { heldSnapshot, removeSnapshot, type SnapshotTask } from "./store.ts"

export interface DeleteSnapshotParams extends SnapshotTask, Actor {}

export const deleteSnapshotSaga = saga<DeleteSnapshotParams>("block_storage.snapshot.delete", 1)
  .step("data", {
    waits: true,
    do: async ({ ctx, params, fence, signal }) => {
      const snapshot = await heldSnapshot(ctx, params)
      const { generation, snapshotId } = params
      return await removeData(ctx, snapshot, { volumeId: snapshotId, fence: { generation, fence } }, signal)
    },
    timeoutMs: 180_000,
  })
  .step("rows", {
    do: ({ ctx, params }) =>
      withLog(async (tx) => {
        const snapshot = await heldSnapshot({ db: tx }, params)
        if (snapshot.hasRoom) await giveBack(tx, snapshot, snapshot.sizeGib)
        await removeSnapshot(tx, params)
        await notifySnapshot(ctx, tx, snapshot, "delete.end", params)
      }),
  })
  .onUnwound(({ ctx, params, failure }) =>
    withLog((tx) =>
      abandonSnapshot(ctx, tx, params, { action: "delete", status: "error_deleting", failure }),
    ),
  )
