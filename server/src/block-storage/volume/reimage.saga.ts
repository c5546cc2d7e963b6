// The host has the data of before until those of the image are whole. Which of them a failure left nobody knows here,
// so the volume is in error then, as with Cinder.
import { saga, withLog } from "../../engine/saga/saga.ts"
import { callAgent } from "../agent-call.ts"
import { awaitCopies } from "./copies.ts"
import type { VolumeOrigin } from "./create.ts"
import { placeOf, statusBefore } from "./extend.saga.ts"
import { abandonVolume, finishVolume, heldVolume, holdVolume, type VolumeTask } from "./task.ts"

export interface ReimageParams extends VolumeTask {
  source: Extract<VolumeOrigin, { kind: "image" }>
  isBootable: boolean
  imageMetadata: Record<string, string> | null
}

export const reimageVolumeSaga = saga<ReimageParams>("block_storage.volume.reimage", 1)
  .step("write", {
    do: async ({ ctx, params, fence, signal }) => {
      const volume = await heldVolume(ctx, params)
      const { host, backend } = placeOf(volume)
      const { generation, source, imageMetadata, isBootable, volumeId } = params
      await awaitCopies(ctx, volumeId, signal)
      const command = {
        ...{ volumeId, backend, source, fence: { generation, fence } },
        ...(volume.encryptionKeyId !== null && { encrypted: true }),
      }
      await callAgent(ctx, host, "volume.reimage", command, { signal })
      return withLog(async (tx) => {
        const status = statusBefore(await holdVolume(tx, params))
        await finishVolume(ctx, tx, params, "reimage", { status, imageMetadata, isBootable })
      })
    },
    timeoutMs: 2 * 3_600_000,
  })
  .onUnwound(({ ctx, params, failure }) =>
    withLog((tx) => abandonVolume(ctx, tx, params, "reimage", { changes: { status: "error" }, failure })),
  )
