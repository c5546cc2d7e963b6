// A volume gets the data of an image in place of its own.
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { type Tx, transact } from "../../platform/db/database.ts"
import { operation } from "../../platform/operation/operation.ts"
import { lockForeignAttachments } from "../attachment/hold.ts"
import { attachmentOfServer, inputInvalid, volumeInvalid, volumeNotFound } from "../faults.ts"
import { targetOf } from "../viewer.ts"
import { originOfImage } from "./create.ts"
import { placeOf } from "./extend.saga.ts"
import { notifyVolume } from "./notification.ts"
import { visibleVolume } from "./read.ts"
import { type ReimageParams, reimageVolumeSaga } from "./reimage.saga.ts"
import { luksFormat } from "./stored-key.ts"
import { actorOf, claimVolume } from "./task.ts"
import type { Volume } from "./volume.ts"

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
    const image = await planReimage(ctx, imageId)
    await transact(ctx.db, async (tx) => {
      await lockForeignAttachments(tx, id)
      const volume = await claimVolume(tx, id, mayBeReserved ? "reimageReserved" : "reimage")
      const params = await beginWriting(ctx, tx, volume, image)
      await ctx.sagas.start(tx, reimageVolumeSaga, params, { requestId: ctx.requestId, resourceId: id })
    })
  },
})

export type ReimagePlan = Pick<ReimageParams, "source" | "imageMetadata" | "isBootable"> & {
  leastGib: number
}

/** The image, as the caller sees it. Throws `inputInvalid` for one that no volume can be made from. */
export async function planReimage(ctx: Ctx, imageId: string): Promise<ReimagePlan> {
  const { source, least: leastGib, imageMetadata, isBootable } = await originOfImage(ctx, imageId)
  if (source.kind !== "image") throw new Error("the origin of an image is an image")
  if (source.diskFormat === luksFormat)
    throw inputInvalid(
      `Image ${imageId} is of an encrypted volume and has a key of its own: make a new volume of it.`,
    )
  return { source, leastGib, imageMetadata, isBootable }
}

/** Of a volume that is claimed: what the saga that writes to it is begun with. */
export async function beginWriting(
  ctx: Ctx,
  tx: Tx,
  volume: Volume,
  { leastGib, ...image }: ReimagePlan,
): Promise<ReimageParams> {
  const { id: volumeId, generation, sizeGib } = volume
  // Throws when it has no data that others could stand for.
  placeOf(volume)
  if (sizeGib < leastGib)
    throw inputInvalid(`image_id: the image needs ${leastGib}GB, and volume ${volumeId} is of ${sizeGib}GB.`)
  const actor = actorOf(ctx)
  await notifyVolume(ctx, tx, volume, "reimage.start", actor)
  return { volumeId, generation, ...actor, ...image }
}
