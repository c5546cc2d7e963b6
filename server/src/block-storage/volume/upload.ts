// Makes an image of a volume's data.
import { Type } from "typebox"
import { createImageRecord, type Image } from "../../image/index.ts"
import { transact } from "../../platform/db/database.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { operation } from "../../platform/operation/operation.ts"
import { word } from "../../platform/schema/make.ts"
import { quotaExceeded } from "../../quota/index.ts"
import { checkOneHolder } from "../attachment/shared.ts"
import { inputInvalid, volumeInvalid, volumeNotFound } from "../faults.ts"
import { targetOf } from "../viewer.ts"
import { imageKeyProperties, keepImageKey } from "./image-key.ts"
import { notifyVolume } from "./notification.ts"
import { visibleVolume } from "./read.ts"
import { actorOf, claimVolume } from "./task.ts"
import { uploadVolumeSaga } from "./upload.saga.ts"
import type { Volume } from "./volume.ts"

export const uploadFormats = ["raw", "qcow2", "vmdk", "vdi", "vhd", "vhdx"] as const

export const uploadVolume = operation({
  name: "block_storage.volume.upload",
  input: Type.Object({
    id: Type.String(),
    imageName: Type.String({ minLength: 1, maxLength: 255 }),
    diskFormat: word(uploadFormats),
    containerFormat: Type.String(),
    visibility: word(["private", "public", "shared", "community"]),
    isProtected: Type.Boolean(),
    /** Also of a volume that a server has. */
    mayBeInUse: Type.Boolean(),
  }),
  faults: [volumeNotFound, volumeInvalid, inputInvalid, quotaExceeded],
  load: (ctx, { id }) => visibleVolume(ctx, id),
  rule: "volume_extension:volume_actions:upload_image",
  target: (_ctx, _input, volume) => targetOf(volume),
  run: async (ctx, input): Promise<{ volume: Volume; image: Image }> => {
    const { id, diskFormat, containerFormat, isProtected } = input
    return await transact(ctx.db, async (tx) => {
      const volume = await claimVolume(tx, id, input.mayBeInUse ? "uploadInUse" : "upload")
      if (volume.encryptionKeyId !== null && (diskFormat !== "raw" || containerFormat !== "bare"))
        throw inputInvalid(
          "An encrypted volume uploaded as an image must use 'raw' disk_format and 'bare' container_format, which are " +
            "the defaults for these options.",
        )
      await checkOneHolder(tx, volume)
      const imageId = newUuid()
      const ofKey = await keepImageKey(ctx, tx, imageId, volume)
      const image = await createImageRecord(
        ctx,
        {
          id: imageId,
          projectId: volume.projectId,
          name: input.imageName,
          diskFormat,
          containerFormat,
          visibility: input.visibility,
          isProtected,
          minDiskGib: 0,
          properties: { ...propertiesOf(volume), ...ofKey },
        },
        tx,
      )
      const actor = actorOf(ctx)
      await notifyVolume(ctx, tx, volume, "upload.start", actor)
      const params = { volumeId: id, generation: volume.generation, ...actor, imageId: image.id, diskFormat }
      await ctx.sagas.start(tx, uploadVolumeSaga, params, { requestId: ctx.requestId, resourceId: id })
      return { volume, image }
    })
  },
})

/** Of the image that the volume was made from, and not of the new one. */
const own = new Set(["image_id", "image_name", ...imageKeyProperties])

function propertiesOf({ imageMetadata }: Volume): Record<string, string> {
  return Object.fromEntries(Object.entries(imageMetadata ?? {}).filter(([key]) => !own.has(key)))
}
