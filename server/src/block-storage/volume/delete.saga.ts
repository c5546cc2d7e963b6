// The data first, then the row and its room: nothing is given to others while it is still there.
import { saga, type WithLog, withLog } from "../../engine/saga/saga.ts"
import type { Tx } from "../../platform/db/database.ts"
import { volumeSuperseded } from "../faults.ts"
import { removeData } from "../leftover/remove.ts"
import { giveBack } from "../pool/place.ts"
import { notifyVolume } from "./notification.ts"
import { removeVolume } from "./store.ts"
import { abandonVolume, heldVolume, type VolumeTask } from "./task.ts"

export interface DeleteVolumeParams extends VolumeTask {
  isCascading: boolean
}

export const deleteVolumeSaga = saga<DeleteVolumeParams>("block_storage.volume.delete", 1)
  .step("snapshots", {
    waits: true,
    do: async ({ ctx, params, fence, signal }) => {
      await heldVolume(ctx, params)
      const snapshots = await ctx.db
        .selectFrom("block_storage.snapshot")
        .select(["id", "host", "backend", "generation"])
        .where("volume_id", "=", params.volumeId)
        .execute()
      const notes: WithLog<void>[] = []
      for (const { id, host, backend, generation } of snapshots) {
        const data = { volumeId: id, fence: { generation: generation + 1, fence } }
        notes.push(await removeData(ctx, { host, backend }, data, signal))
      }
      return withLog(async (tx) => {
        for (const note of notes) await note.run(tx)
      })
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
        if (!(await removeVolume(tx, params))) throw volumeSuperseded(volume.id)
        await notifyVolume(ctx, tx, volume, "delete.end", params)
      }),
  })
  .onUnwound(({ ctx, params, failure }) =>
    withLog((tx) =>
      abandonVolume(ctx, tx, params, "delete", { changes: { status: "error_deleting" }, failure }),
    ),
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
