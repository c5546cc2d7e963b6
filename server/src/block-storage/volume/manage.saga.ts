// Room where the data are, then they become the volume's. Undone, they are beside the volumes again: they were there
// before the volume, and nobody asked for their end.
import { saga, withLog } from "../../engine/saga/saga.ts"
import { callAgent, unlessOvertaken } from "../agent-call.ts"
import { claimMore, gib, type Place } from "../pool/place.ts"
import { leavePlace } from "./create.saga.ts"
import { selectVolume } from "./store.ts"
import { abandonVolume, advanceVolume, finishVolume, heldVolume, type VolumeTask } from "./task.ts"

export interface ManageVolumeParams extends VolumeTask, Place {
  /** Of the data, and theirs again when this is undone. */
  dataName: string
}

export const manageVolumeSaga = saga<ManageVolumeParams>("block_storage.volume.manage", 1)
  .step("room", {
    do: ({ ctx, params }) =>
      withLog(async (tx) => {
        const { host, backend } = params
        const volume = await heldVolume({ db: tx }, params)
        if (volume.host !== null) return
        await claimMore(ctx, tx, { host, backend }, volume.sizeGib)
        await advanceVolume(tx, params, { place: { host, backend } })
      }),
    undo: ({ params }) => withLog((tx) => leavePlace(tx, params)),
  })
  .step("take", {
    do: async ({ ctx, params, fence, signal }) => {
      const { volumeId, generation, host, backend, dataName: name } = params
      const { sizeGib } = await heldVolume(ctx, params)
      const command = { volumeId, backend, name, sizeBytes: sizeGib * gib, fence: { generation, fence } }
      await callAgent(ctx, host, "volume.manage", command, { signal })
      return withLog((tx) => finishVolume(ctx, tx, params, "manage_existing", { status: "available" }))
    },
    undo: async ({ ctx, params, fence, signal }) => {
      const { volumeId, generation, host, backend, dataName: name } = params
      // A later task decides what is there.
      if ((await selectVolume(ctx.db, volumeId))?.generation !== generation) return
      const command = { volumeId, backend, name, fence: { generation, fence } }
      await unlessOvertaken(callAgent(ctx, host, "volume.unmanage", command, { signal }))
    },
  })
  .onUnwound(({ ctx, params, failure }) =>
    withLog((tx) =>
      abandonVolume(ctx, tx, params, "manage", { changes: { status: "error_managing" }, failure }),
    ),
  )
