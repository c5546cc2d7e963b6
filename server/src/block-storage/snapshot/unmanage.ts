import { Type } from "typebox"
import { transact } from "../../platform/db/database.ts"
import { operation } from "../../platform/operation/operation.ts"
import { snapshotInvalid, snapshotNotFound, volumeInvalid } from "../faults.ts"
import { targetOf } from "../viewer.ts"
import { refuseEncrypted } from "../volume/key.ts"
import { selectVolume } from "../volume/store.ts"
import { actorOf } from "../volume/task.ts"
import { mustBeIdle } from "./delete.ts"
import { notifySnapshot } from "./notification.ts"
import { visibleSnapshot } from "./read.ts"
import { claimSnapshot } from "./store.ts"
import { unmanageSnapshotSaga } from "./unmanage.saga.ts"

/** The cloud forgets the snapshot; its data stay, beside the volumes. */
export const unmanageSnapshot = operation({
  name: "block_storage.snapshot.unmanage",
  input: Type.Object({ id: Type.String() }),
  faults: [snapshotNotFound, snapshotInvalid, volumeInvalid],
  load: (ctx, { id }) => visibleSnapshot(ctx, id),
  rule: "snapshot_extension:snapshot_unmanage",
  target: (_ctx, _input, snapshot) => targetOf(snapshot),
  run: async (ctx, { id }) => {
    await transact(ctx.db, async (tx) => {
      const snapshot = await claimSnapshot(tx, id, ["available", "error"], "unmanaging")
      await mustBeIdle(tx, snapshot)
      const volume = await selectVolume(tx, snapshot.volumeId)
      if (volume) refuseEncrypted(volume, "unmanaged data without their key would be lost")
      const actor = actorOf(ctx)
      await notifySnapshot(ctx, tx, snapshot, "unmanage.start", actor)
      const params = { snapshotId: id, generation: snapshot.generation, ...actor }
      await ctx.sagas.start(tx, unmanageSnapshotSaga, params, { requestId: ctx.requestId, resourceId: id })
    })
  },
})
