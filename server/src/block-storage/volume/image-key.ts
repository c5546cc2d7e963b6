// Images of encrypted volumes. Their data are the volume as its back end has it: LUKS, in an image that says raw, as
// with Cinder. The key is found by the image's id and by nothing that users write into its properties; it goes with the
// image.
import type { ImageKeys } from "../../image/index.ts"
import type { Platform } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"
import { newKeyRow, passphraseOf, selectKey } from "./stored-key.ts"
import type { Volume } from "./volume.ts"

/** What Nova and Cinder look for; the key's id is its name and opens nothing. */
export const imageKeyProperties = ["cinder_encryption_key_id", "cinder_encryption_key_deletion_policy"]

/** The properties of the new image. Of a volume that is held. */
export async function keepImageKey(
  platform: Platform,
  tx: Tx,
  imageId: string,
  { id, volumeTypeId }: Pick<Volume, "id" | "volumeTypeId">,
): Promise<Record<string, string>> {
  const key = await selectKey(tx, id)
  if (!key) return {}
  const row = newKeyRow(platform, key, passphraseOf(platform, id, key))
  await tx
    .insertInto("block_storage.image_key")
    .values({ image_id: imageId, ...row, volume_type_id: volumeTypeId })
    .execute()
  const [ofId = "", ofPolicy = ""] = imageKeyProperties
  return { [ofId]: row.id, [ofPolicy]: "on_image_deletion" }
}

export const keysOfImages: ImageKeys = {
  forget: async (tx, imageId) => {
    await tx.deleteFrom("block_storage.image_key").where("image_id", "=", imageId).execute()
  },
}
