// The request has taken room and noted the new size; here the data grow. What has grown once never shrinks: a guest
// may have seen it.
import { saga, withLog } from "../../engine/saga/saga.ts"
import { callAgent } from "../agent-call.ts"
import { tellExtended } from "../attachment/tell-servers.ts"
import { volumeInvalid } from "../faults.ts"
import { gib, giveBack } from "../pool/place.ts"
import { awaitCopies } from "./copies.ts"
import { selectVolume } from "./store.ts"
import {
  abandonVolume,
  advanceVolume,
  finishVolume,
  heldVolume,
  holdVolume,
  type VolumeTask,
} from "./task.ts"
import { type Volume, volumeStatuses } from "./volume.ts"

export interface ExtendParams extends VolumeTask {
  sizeGib: number
  wasGib: number
}

export function placeOf({ host, backend, id }: Volume) {
  if (host === null || backend === null) throw volumeInvalid(`Volume ${id} has no data yet.`)
  return { host, backend }
}

export const extendVolumeSaga = saga<ExtendParams>("block_storage.volume.extend", 1)
  .step("room", {
    do: async ({ ctx, params }) => {
      await heldVolume(ctx, params)
    },
    undo: ({ params }) =>
      withLog(async (tx) => {
        const volume = await selectVolume(tx, params.volumeId)
        if (volume?.generation !== params.generation || volume.sizeGib !== params.sizeGib) return
        await giveBack(tx, placeOf(volume), params.sizeGib - params.wasGib)
        await advanceVolume(tx, params, { sizeGib: params.wasGib })
      }),
  })
  .step("extend", {
    do: async ({ ctx, params, fence, signal }) => {
      const volume = await heldVolume(ctx, params)
      const { host, backend } = placeOf(volume)
      const { generation, sizeGib } = params
      const command = { volumeId: volume.id, backend, sizeBytes: sizeGib * gib, fence: { generation, fence } }
      await awaitCopies(ctx, volume.id, signal)
      await callAgent(ctx, host, "volume.extend", command, { signal })
      return withLog(async (tx) => {
        // As it is now: its server may have been deleted meanwhile.
        const status = statusBefore(await holdVolume(tx, params))
        await finishVolume(ctx, tx, params, "resize", { status })
        await tellExtended(ctx, tx, params.volumeId, params)
      })
    },
    timeoutMs: 2 * 3_600_000,
  })
  .onUnwound(({ ctx, params, failure }) =>
    withLog((tx) =>
      abandonVolume(ctx, tx, params, "resize", { changes: { status: "error_extending" }, failure }),
    ),
  )

/** What it was when the task began, or is to be after it. */
export function statusBefore({ previousStatus }: Volume) {
  return volumeStatuses.find((status) => status === previousStatus) ?? "available"
}
