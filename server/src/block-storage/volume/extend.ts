import { Type } from "typebox"
import { transact } from "../../platform/db/database.ts"
import { operation } from "../../platform/operation/operation.ts"
import { quotaExceeded } from "../../quota/index.ts"
import { inputInvalid, noValidBackend, volumeInvalid, volumeNotFound, volumeTooLarge } from "../faults.ts"
import { claimMore } from "../pool/place.ts"
import { enforceTypeQuota } from "../quota/of-types.ts"
import { targetOf } from "../viewer.ts"
import { checkOneSize, volumeSizeMost } from "./create.ts"
import { extendVolumeSaga, placeOf } from "./extend.saga.ts"
import { notifyVolume } from "./notification.ts"
import { visibleVolume } from "./read.ts"
import { actorOf, advanceVolume, claimVolume } from "./task.ts"

export const extendVolume = operation({
  name: "block_storage.volume.extend",
  input: Type.Object({
    id: Type.String(),
    sizeGib: Type.Integer({ minimum: 1, maximum: volumeSizeMost }),
    /** Also one that a server has. */
    mayBeInUse: Type.Boolean(),
  }),
  faults: [volumeNotFound, volumeInvalid, inputInvalid, volumeTooLarge, quotaExceeded, noValidBackend],
  load: (ctx, { id }) => visibleVolume(ctx, id),
  rules: ["volume:extend", "volume:extend_attached_volume"],
  authorize: (_ctx, { mayBeInUse }, volume) => {
    const target = targetOf(volume)
    const isInUse = mayBeInUse && volume.status === "in-use"
    return [
      ["volume:extend", target],
      ...(isInUse ? [["volume:extend_attached_volume", target] as const] : []),
    ]
  },
  run: async (ctx, { id, sizeGib, mayBeInUse }) => {
    await transact(ctx.db, async (tx) => {
      const volume = await claimVolume(tx, id, mayBeInUse ? "extendInUse" : "extend")
      const moreGib = sizeGib - volume.sizeGib
      if (moreGib <= 0)
        throw inputInvalid(
          `New size for extend must be greater than current size. (current: ${volume.sizeGib}, extended: ${sizeGib}).`,
        )
      const { projectId } = volume
      await checkOneSize(ctx, tx, projectId, sizeGib)
      await enforceTypeQuota(ctx, tx, { projectId, typeId: volume.volumeTypeId, add: { gigabytes: moreGib } })
      const actor = actorOf(ctx)
      await notifyVolume(ctx, tx, volume, "resize.start", actor)
      const params = {
        volumeId: id,
        generation: volume.generation,
        ...actor,
        sizeGib,
        wasGib: volume.sizeGib,
      }
      // From now on its new size counts: against the quota, and when the volume is deleted.
      await claimMore(ctx, tx, placeOf(volume), moreGib)
      await advanceVolume(tx, params, { sizeGib })
      await ctx.sagas.start(tx, extendVolumeSaga, params, { requestId: ctx.requestId, resourceId: id })
    })
  },
})

/**
 * Of back ends that wait for a server to see the new size. None here does: an extend is over when the data are larger,
 * and QEMU tells its guest. So there is nothing to complete, and that is said as Cinder says it.
 */
export const completeExtend = operation({
  name: "block_storage.volume.complete_extend",
  input: Type.Object({ id: Type.String() }),
  faults: [volumeNotFound, volumeInvalid],
  load: (ctx, { id }) => visibleVolume(ctx, id),
  rule: "volume_extension:volume_admin_actions:extend_volume_completion",
  target: (_ctx, _input, volume) => targetOf(volume),
  run: async (_ctx, _input, { status }): Promise<never> => {
    throw volumeInvalid(
      status === "extending"
        ? "Required volume admin metadata is malformed or missing."
        : "Volume is not being extended.",
    )
  },
})
