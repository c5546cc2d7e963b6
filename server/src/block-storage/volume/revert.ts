import { Type } from "typebox"
import { transact } from "../../platform/db/database.ts"
import { findThing } from "../../platform/noun/list.ts"
import { operation } from "../../platform/operation/operation.ts"
import { inputInvalid, snapshotInvalid, snapshotNotFound, volumeInvalid, volumeNotFound } from "../faults.ts"
import { snapshotNoun } from "../snapshot/snapshot.ts"
import { targetOf, viewerOf } from "../viewer.ts"
import { notifyVolume } from "./notification.ts"
import { visibleVolume } from "./read.ts"
import { revertVolumeSaga } from "./revert.saga.ts"
import { actorOf, claimVolume } from "./task.ts"

/** The volume gets the data of its latest snapshot. */
export const revertVolume = operation({
  name: "block_storage.volume.revert",
  input: Type.Object({ id: Type.String(), snapshotId: Type.String() }),
  faults: [volumeNotFound, volumeInvalid, inputInvalid, snapshotNotFound, snapshotInvalid],
  load: (ctx, { id }) => visibleVolume(ctx, id),
  rule: "volume:revert_to_snapshot",
  target: (_ctx, _input, volume) => targetOf(volume),
  run: async (ctx, { id, snapshotId }) => {
    const snapshot = await findThing(ctx.db, snapshotNoun, viewerOf(ctx), snapshotId)
    if (!snapshot) throw snapshotNotFound(snapshotId)
    checkAvailable(snapshotId, snapshot.status)
    await transact(ctx.db, async (tx) => {
      const volume = await claimVolume(tx, id, "revert")
      const latest = await tx
        .selectFrom("block_storage.snapshot")
        .select(["id", "status"])
        .where("volume_id", "=", id)
        .orderBy("created_at", "desc")
        .orderBy("id", "desc")
        .limit(1)
        .forUpdate()
        .executeTakeFirst()
      if (latest?.id !== snapshotId)
        throw snapshotInvalid(`Snapshot ${snapshotId} is not the latest one of volume ${id}.`)
      checkAvailable(snapshotId, latest.status)
      if (snapshot.sizeGib !== volume.sizeGib)
        throw inputInvalid(
          `Can't revert volume ${id} to its latest snapshot ${snapshotId}. The volume size must be equal to the snapshot ` +
            "size.",
        )
      const actor = actorOf(ctx)
      await notifyVolume(ctx, tx, volume, "revert.start", actor)
      const params = { volumeId: id, generation: volume.generation, ...actor, snapshotId }
      await ctx.sagas.start(tx, revertVolumeSaga, params, { requestId: ctx.requestId, resourceId: id })
    })
  },
})

function checkAvailable(id: string, status: string): void {
  if (status !== "available")
    throw snapshotInvalid(`Snapshot ${id} must be available, but its status is: ${status}.`)
}
