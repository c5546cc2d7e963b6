import { saga, withLog } from "../../engine/saga/saga.ts"
import { callAgent } from "../agent-call.ts"
import { unmanagedName } from "../pool/manageable.ts"
import { giveBack } from "../pool/place.ts"
import type { Actor } from "../volume/notification.ts"
import { abandonSnapshot } from "./create.saga.ts"
import { notifySnapshot } from "./notification.ts"
import { heldSnapshot, removeSnapshot, type SnapshotTask } from "./store.ts"

export interface UnmanageSnapshotParams extends SnapshotTask, Actor {}

export const unmanageSnapshotSaga = saga<UnmanageSnapshotParams>("block_storage.snapshot.unmanage", 1)
  .step("leave", {
    waits: true,
    do: async ({ ctx, params, fence, signal }) => {
      const { host, backend } = await heldSnapshot(ctx, params)
      const { generation, snapshotId: volumeId } = params
      const name = unmanagedName("snapshot", volumeId)
      const command = { volumeId, backend, name, fence: { generation, fence } }
      await callAgent(ctx, host, "volume.unmanage", command, { signal })
    },
  })
  .step("rows", {
    do: ({ ctx, params }) =>
      withLog(async (tx) => {
        const snapshot = await heldSnapshot({ db: tx }, params)
        if (snapshot.hasRoom) await giveBack(tx, snapshot, snapshot.sizeGib)
        await removeSnapshot(tx, params)
        await notifySnapshot(ctx, tx, snapshot, "unmanage.end", params)
      }),
  })
  .onUnwound(({ ctx, params, failure }) =>
    withLog((tx) => abandonSnapshot(ctx, tx, params, { action: "unmanage", status: "error", failure })),
  )
