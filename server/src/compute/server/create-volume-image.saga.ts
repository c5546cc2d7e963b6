// An image of a server that boots from a volume: no data, but the snapshots of its volumes, of which the next server's
// are made. They are begun with the request; the image is there when all of them are.
import { Readable } from "node:stream"
import { awaitSnapshot, takeBackSnapshot } from "../../block-storage/index.ts"
import { saga, withLog } from "../../engine/saga/saga.ts"
import { discardImage, storeImageStream } from "../../image/index.ts"
import { plainActor } from "./block-device.ts"
import { type CreateImageParams, copyTimeoutMs } from "./create-image.saga.ts"
import { abandonTask, finishTask, heldServer, isFinished } from "./task.ts"

export interface CreateVolumeImageParams extends CreateImageParams {
  snapshotIds: string[]
}

const end = { event: "snapshot", part: "api_snapshot_instance" }

export const createVolumeImageSaga = saga<CreateVolumeImageParams>("compute.server.create_volume_image", 1)
  .step("snapshots", {
    do: async ({ ctx, params, signal }) => {
      for (const id of params.snapshotIds) await awaitSnapshot(ctx, id, signal)
    },
    undo: ({ ctx, params }) =>
      withLog(async (tx) => {
        for (const id of params.snapshotIds) await takeBackSnapshot(ctx, tx, id, plainActor(params))
      }),
    timeoutMs: copyTimeoutMs,
  })
  .step("image", {
    do: async ({ ctx, params }) => {
      if (await isFinished(ctx, params)) return
      await heldServer(ctx, params)
      await storeImageStream(ctx, params.imageId, { stream: Readable.from([]), sizeBytes: 0 })
      return finishTask(ctx, params, {}, end)
    },
  })
  .onUnwound((s) => abandonTask(s, {}, end, (tx) => discardImage(s.ctx, tx, s.params.imageId)))
