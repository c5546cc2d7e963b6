// As with a volume: undone, the data are where they were.
import { saga, withLog } from "../../engine/saga/saga.ts"
import { callAgent, unlessOvertaken } from "../agent-call.ts"
import { gib } from "../pool/place.ts"
import type { Actor } from "../volume/notification.ts"
import { abandonSnapshot, claimRoom, finishSnapshot, leaveRoom } from "./create.saga.ts"
import { heldSnapshot, type SnapshotTask, selectSnapshot } from "./store.ts"

export interface ManageSnapshotParams extends SnapshotTask, Actor {
  /** Of the data, and theirs again when this is undone. */
  dataName: string
}

export const manageSnapshotSaga = saga<ManageSnapshotParams>("block_storage.snapshot.manage", 1)
  .step("room", {
    do: ({ ctx, params }) => withLog((tx) => claimRoom(ctx, tx, params)),
    undo: ({ params }) => withLog((tx) => leaveRoom(tx, params)),
  })
  .step("take", {
    do: async ({ ctx, params, fence, signal }) => {
      const { backend, host, id: volumeId, sizeGib } = await heldSnapshot(ctx, params)
      const { generation, dataName: name } = params
      const command = { volumeId, backend, name, sizeBytes: sizeGib * gib, fence: { generation, fence } }
      await callAgent(ctx, host, "volume.manage", command, { signal })
      return withLog((tx) => finishSnapshot(ctx, tx, params, "manage_existing"))
    },
    undo: async ({ ctx, params, fence, signal }) => {
      const { generation, snapshotId: volumeId, dataName: name } = params
      const snapshot = await selectSnapshot(ctx.db, volumeId)
      if (snapshot?.generation !== generation) return
      const { host, backend } = snapshot
      const command = { volumeId, backend, name, fence: { generation, fence } }
      await unlessOvertaken(callAgent(ctx, host, "volume.unmanage", command, { signal }))
    },
  })
  .onUnwound(({ ctx, params, failure }) =>
    withLog((tx) => abandonSnapshot(ctx, tx, params, { action: "manage", status: "error", failure })),
  )
