// The host brings the data to the image store; the volume is as it was before and after.
import { saga, withLog } from "../../engine/saga/saga.ts"
import { discardImage, hasImageData } from "../../image/index.ts"
import { callAgent } from "../agent-call.ts"
import { volumeInvalid } from "../faults.ts"
import { statusBefore } from "./extend.saga.ts"
import { lockVolume } from "./store.ts"
import { abandonVolume, finishVolume, holdVolume, type VolumeTask } from "./task.ts"

export interface UploadParams extends VolumeTask {
  imageId: string
  diskFormat: string
}

export const uploadVolumeSaga = saga<UploadParams>("block_storage.volume.upload", 1)
  .step("upload", {
    do: async ({ ctx, params, fence, signal, transact }) => {
      // The image store does not know this saga: a worker that has lost it must not get as far as the host.
      const volume = await transact((tx) => holdVolume(tx, params))
      const { host, backend, id: volumeId } = volume
      if (host === null || backend === null) throw volumeInvalid(`Volume ${volumeId} has no data yet.`)
      const { generation, imageId, diskFormat } = params
      const command = { volumeId, backend, imageId, diskFormat, fence: { generation, fence } }
      if (!(await hasImageData(ctx, imageId)))
        await callAgent(ctx, host, "volume.upload", command, { signal })
      return withLog(async (tx) => {
        const status = statusBefore(await holdVolume(tx, params))
        await finishVolume(ctx, tx, params, "upload", { status })
      })
    },
    undo: ({ ctx, params }) => withLog((tx) => discardImage(ctx, tx, params.imageId)),
    timeoutMs: 2 * 3_600_000,
  })
  .onUnwound(({ ctx, params, failure }) =>
    withLog(async (tx) => {
      const volume = await lockVolume(tx, params.volumeId)
      const status = volume ? statusBefore(volume) : "available"
      await abandonVolume(ctx, tx, params, "upload", { changes: { status }, failure })
    }),
  )
