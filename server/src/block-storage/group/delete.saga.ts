// The data of its volumes first, then the rows and their room. Its volumes were taken with it.
import { saga, withLog } from "../../engine/saga/saga.ts"
import { removeAllData } from "../leftover/remove.ts"
import { giveBack } from "../pool/place.ts"
import { notifyVolume } from "../volume/notification.ts"
import { removeVolume } from "../volume/store.ts"
import { abandonVolume, heldVolume } from "../volume/task.ts"
import type { Volume } from "../volume/volume.ts"
import { notifyGroup } from "./notification.ts"
import { abandonGroup, type GroupTask, heldGroup, removeGroup } from "./store.ts"

export interface DeleteGroupParams extends GroupTask {
  volumes: readonly { volumeId: string; generation: number }[]
}

/** A volume's part of the task. */
export const volumeTasks = ({ requestId, userId, projectId, volumes }: DeleteGroupParams) =>
  volumes.map((volume) => ({ ...volume, requestId, userId, projectId }))

/** What those that have a place have there. */
export const placedData = (volumes: readonly Volume[], fence: number) =>
  volumes.flatMap(({ id: volumeId, generation, host, backend }) =>
    host === null || backend === null ? [] : [{ volumeId, host, backend, fence: { generation, fence } }],
  )

export const deleteGroupSaga = saga<DeleteGroupParams>("block_storage.group.delete", 1)
  .step("data", {
    waits: true,
    do: async ({ ctx, params, fence, signal }) => {
      await heldGroup(ctx, params)
      const volumes = await Promise.all(volumeTasks(params).map((task) => heldVolume(ctx, task)))
      return await removeAllData(ctx, placedData(volumes, fence), signal)
    },
    timeoutMs: 1_800_000,
  })
  .step("rows", {
    do: ({ ctx, params }) =>
      withLog(async (tx) => {
        const group = await heldGroup({ db: tx }, params)
        for (const task of volumeTasks(params)) {
          const volume = await heldVolume({ db: tx }, task)
          if (volume.host !== null && volume.backend !== null)
            await giveBack(tx, { host: volume.host, backend: volume.backend }, volume.sizeGib)
          // A later task has it: then that one gives back the room, and nothing of this has happened.
          await removeVolume(tx, task)
          await notifyVolume(ctx, tx, volume, "delete.end", task)
        }
        await removeGroup(tx, params)
        await notifyGroup(ctx, tx, group, "delete.end", params)
      }),
  })
  .onUnwound(({ ctx, params, failure }) =>
    withLog(async (tx) => {
      for (const task of volumeTasks(params))
        await abandonVolume(ctx, tx, task, "delete", { changes: { status: "error_deleting" }, failure })
      await abandonGroup(ctx, tx, params, "delete", { status: "error_deleting", failure })
    }),
  )
