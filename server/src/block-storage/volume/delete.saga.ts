// The data first, then the row and its room: nothing is given to others while it is still there.
import { saga, withLog } from "../../engine/saga/saga.ts"
import type { Tx } from "../../platform/db/database.ts"
import { removeAllData, removeData } from "../leftover/remove.ts"
import { giveBack } from "../pool/place.ts"
import { abandonSnapshot } from "../snapshot/create.saga.ts"
import { claimWithVolume, lockSnapshotsOf } from "../snapshot/store.ts"
import { notifyVolume } from "./notification.ts"
import { lockVolume, removeVolume } from "./store.ts"
import { abandonVolume, heldVolume, holdVolume, type VolumeTask } from "./task.ts"

export interface DeleteVolumeParams extends VolumeTask {
  isCascading: boolean
}

export const deleteVolumeSaga = saga<DeleteVolumeParams>("block_storage.volume.delete", 1)
  .step("snapshots", {
    waits: true,
    do: async ({ ctx, params, fence, signal, transact }) => {
      const snapshots = await transact(async (tx) => {
        await holdVolume(tx, params)
        // Taken with the volume; an administrator may have said since that one is something else.
        await claimWithVolume(
          tx,
          (await lockSnapshotsOf(tx, params.volumeId)).filter(({ status }) => status !== "deleting"),
        )
        return await lockSnapshotsOf(tx, params.volumeId)
      })
      const data = snapshots.map(({ id: volumeId, host, backend, generation }) => ({
        ...{ volumeId, host, backend, fence: { generation, fence } },
      }))
      return await removeAllData(ctx, data, signal)
    },
  })
  .step("data", {
    waits: true,
    do: async ({ ctx, params, fence, signal }) => {
      const { host, backend } = await heldVolume(ctx, params)
      if (host === null || backend === null) return
      const { volumeId, generation } = params
      return await removeData(ctx, { host, backend }, { volumeId, fence: { generation, fence } }, signal)
    },
    timeoutMs: 180_000,
  })
  .step("rows", {
    do: ({ ctx, params }) =>
      withLog(async (tx) => {
        const volume = await heldVolume({ db: tx }, params)
        await removeSnapshotRows(tx, volume.id)
        if (volume.host !== null && volume.backend !== null)
          await giveBack(tx, { host: volume.host, backend: volume.backend }, volume.sizeGib)
        // A later task has it: then that one gives back the room, and nothing of this has happened.
        await removeVolume(tx, params)
        await notifyVolume(ctx, tx, volume, "delete.end", params)
      }),
  })
  .onUnwound(({ ctx, params, failure }) =>
    withLog(async (tx) => {
      if ((await lockVolume(tx, params.volumeId))?.generation !== params.generation) return
      // Nobody knows which of them have data.
      for (const { id: snapshotId, generation, status } of await lockSnapshotsOf(tx, params.volumeId))
        if (status === "deleting")
          await abandonSnapshot(
            ctx,
            tx,
            { ...params, snapshotId, generation },
            { action: "delete", status: "error_deleting", failure },
          )
      await abandonVolume(ctx, tx, params, "delete", { changes: { status: "error_deleting" }, failure })
    }),
  )

async function removeSnapshotRows(tx: Tx, volumeId: string): Promise<void> {
  const gone = await tx
    .deleteFrom("block_storage.snapshot")
    .where("volume_id", "=", volumeId)
    .returning(["host", "backend", "size_gib", "has_room"])
    .execute()
  for (const { host, backend, size_gib: sizeGib, has_room: hasRoom } of gone)
    if (hasRoom) await giveBack(tx, { host, backend }, sizeGib)
}
