// A volume gets the data of an image in place of its own.
import { Type } from "typebox"
import { transact } from "../../platform/db/database.ts"
import { operation } from "../../platform/operation/operation.ts"
import { lockForeignAttachments } from "../attachment/hold.ts"
import { attachmentOfServer, inputInvalid, volumeInvalid, volumeNotFound } from "../faults.ts"
import { targetOf } from "../viewer.ts"
import { originOfImage } from "./create.ts"
import { placeOf } from "./extend.saga.ts"
import { notifyVolume } from "./notification.ts"
import { visibleVolume } from "./read.ts"
import { reimageVolumeSaga } from "./reimage.saga.ts"
import { actorOf, claimVolume } from "./task.ts"

export const reimageVolume = operation({
  name: "block_storage.volume.reimage",
  input: Type.Object({
    id: Type.String(),
    imageId: Type.String(),
    /** Also one that somebody has reserved: not a server of this cloud, whose machine may be about to get it. */
    mayBeReserved: Type.Boolean(),
  }),
  faults: [volumeNotFound, volumeInvalid, inputInvalid, attachmentOfServer],
  load: (ctx, { id }) => visibleVolume(ctx, id),
  rules: ["volume:reimage", "volume:reimage_reserved"],
  authorize: (_ctx, _input, volume) => [
    [volume.status === "reserved" ? "volume:reimage_reserved" : "volume:reimage", targetOf(volume)],
  ],
  run: async (ctx, { id, imageId, mayBeReserved }) => {
    const { source, least, imageMetadata, isBootable } = await originOfImage(ctx, imageId)
    if (source.kind !== "image") throw new Error("the origin of an image is an image")
    await transact(ctx.db, async (tx) => {
      await lockForeignAttachments(tx, id)
      const volume = await claimVolume(tx, id, mayBeReserved ? "reimageReserved" : "reimage")
      // Throws when it has no data that others could stand for.
      placeOf(volume)
      if (volume.sizeGib < least)
        throw inputInvalid(
          `image_id: the image needs ${least}GB, and volume ${id} is of ${volume.sizeGib}GB.`,
        )
      const actor = actorOf(ctx)
      await notifyVolume(ctx, tx, volume, "reimage.start", actor)
      const task = { volumeId: id, generation: volume.generation, ...actor }
      const params = { ...task, source, imageMetadata, isBootable }
      await ctx.sagas.start(tx, reimageVolumeSaga, params, { requestId: ctx.requestId, resourceId: id })
    })
  },
})
