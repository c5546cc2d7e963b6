// The host has the data of before until those of the image are whole. Which of them a failure left nobody knows here,
// so the volume is in error then, as with Cinder.
import { type StepContext, saga, withLog } from "../../engine/saga/saga.ts"
import { callAgent } from "../agent-call.ts"
import { clearKeyDoubt } from "../backup/key.ts"
import { awaitCopies } from "./copies.ts"
import type { VolumeOrigin } from "./create.ts"
import { placeOf, statusBefore } from "./extend.saga.ts"
import { abandonVolume, finishVolume, heldVolume, holdVolume, type VolumeTask } from "./task.ts"

export interface ReimageParams extends VolumeTask {
  source: Extract<VolumeOrigin, { kind: "image" }>
  isBootable: boolean
  imageMetadata: Record<string, string> | null
}

/** Until the host has all of the image's data in the volume. Repeatable. */
export async function writeImage(
  { ctx, fence, signal }: Pick<StepContext<unknown, object>, "ctx" | "fence" | "signal">,
  params: ReimageParams,
): Promise<void> {
  const volume = await heldVolume(ctx, params)
  const { host, backend } = placeOf(volume)
  const { generation, source, volumeId } = params
  await awaitCopies(ctx, volumeId, signal)
  const command = {
    ...{ volumeId, backend, source, fence: { generation, fence } },
    ...(volume.encryptionKeyId !== null && { encrypted: true }),
  }
  await callAgent(ctx, host, "volume.reimage", command, { signal })
}

export const writeTimeoutMs = 2 * 3_600_000

export const reimageVolumeSaga = saga<ReimageParams>("block_storage.volume.reimage", 1)
  .step("write", {
    do: async (s) => {
      const { ctx, params } = s
      const { imageMetadata, isBootable } = params
      await writeImage(s, params)
      return withLog(async (tx) => {
        const status = statusBefore(await holdVolume(tx, params))
        await clearKeyDoubt(tx, params.volumeId)
        await finishVolume(ctx, tx, params, "reimage", { status, imageMetadata, isBootable })
      })
    },
    timeoutMs: writeTimeoutMs,
  })
  .onUnwound(({ ctx, params, failure }) =>
    withLog((tx) => abandonVolume(ctx, tx, params, "reimage", { changes: { status: "error" }, failure })),
  )
