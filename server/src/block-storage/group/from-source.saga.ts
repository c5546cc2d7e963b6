// Room for all volumes of the new group where their sources lie, then their data.
import { saga, withLog } from "../../engine/saga/saga.ts"
import { removeAllData } from "../leftover/remove.ts"
import { leavePlace, place } from "../volume/create.saga.ts"
import { selectVolume } from "../volume/store.ts"
import { abandonVolume, finishVolume, heldVolume } from "../volume/task.ts"
import type { Volume } from "../volume/volume.ts"
import { type DeleteGroupParams, placedData, volumeTasks } from "./delete.saga.ts"
import { groupSuperseded } from "./faults.ts"
import { copyVolumes } from "./one-moment.ts"
import { abandonGroup, finishGroup, heldGroup } from "./store.ts"

export interface CreateGroupFromSourceParams extends DeleteGroupParams {
  isOfOneMoment: boolean
}

export const createGroupFromSourceSaga = saga<CreateGroupFromSourceParams>(
  "block_storage.group.create_from_source",
  1,
)
  .step("room", {
    do: ({ ctx, params }) =>
      withLog(async (tx) => {
        const { host, backend } = await heldGroup({ db: tx }, params)
        const at = host === null || backend === null ? null : { host, backend }
        for (const task of volumeTasks(params)) await place(ctx, tx, { ...task, at, host: null })
      }),
    undo: ({ params }) =>
      withLog(async (tx) => {
        for (const task of volumeTasks(params)) await leavePlace(tx, task)
      }),
  })
  .step("copy", {
    do: async ({ ctx, params, fence, signal }) => {
      const { host, backend } = await heldGroup(ctx, params)
      if (host === null || backend === null) throw groupSuperseded(params.groupId)
      const volumes = await Promise.all(volumeTasks(params).map((task) => heldVolume(ctx, task)))
      const copies = volumes.map(({ id, snapshotId, sourceVolumeId, sizeGib, generation }) => {
        return { id, fromId: snapshotId ?? sourceVolumeId ?? "", sizeGib, generation }
      })
      const { isOfOneMoment } = params
      await copyVolumes(ctx, { host, backend }, { copies, isOfOneMoment }, { fence, signal })
      return withLog(async (tx) => {
        for (const task of volumeTasks(params))
          await finishVolume(ctx, tx, task, "create", { status: "available" })
        await finishGroup(ctx, tx, params, "create", { status: "available" })
      })
    },
    undo: async ({ ctx, params, fence, signal }) => {
      const held: Volume[] = []
      for (const { volumeId, generation } of params.volumes) {
        const volume = await selectVolume(ctx.db, volumeId)
        // A later task decides what is there.
        if (volume?.generation === generation) held.push(volume)
      }
      return await removeAllData(ctx, placedData(held, fence), signal)
    },
    timeoutMs: 2 * 3_600_000,
  })
  .onUnwound(({ ctx, params, failure }) =>
    withLog(async (tx) => {
      for (const task of volumeTasks(params))
        await abandonVolume(ctx, tx, task, "create", { changes: { status: "error" }, failure })
      await abandonGroup(ctx, tx, params, "create", { status: "error", failure })
    }),
  )
