import { rm } from "node:fs/promises"
import { Type } from "typebox"
import type { Ctx, Platform } from "../../platform/context/context.ts"
import { type Tx, transact } from "../../platform/db/database.ts"
import { operation } from "../../platform/operation/operation.ts"
import { stagingPath } from "../data/paths.ts"
import { imageNotFound, imageProtected } from "../faults.ts"
import { removePlaceFiles, takePlaces } from "../location/rows.ts"
import { announceImage } from "./events.ts"
import type { Image, Place } from "./image.ts"
import type {} from "./keys.ts"
import { imageTarget, keepGone, lockImage, visibleImage } from "./store.ts"

/** The record goes at once; the data right after it (what a crash left is set aside). */
export const deleteImage = operation({
  name: "image.image.delete",
  input: Type.Object({ imageId: Type.String() }),
  faults: [imageNotFound, imageProtected],
  load: (ctx, { imageId }) => visibleImage(ctx, imageId),
  rule: "delete_image",
  target: (_ctx, _input, found) => imageTarget(found),
  run: async (ctx, { imageId }) => {
    const gone = await transact(ctx.db, async (tx) => {
      const image = await lockImage(tx, imageId)
      if (!image) throw imageNotFound(imageId)
      if (image.isProtected) throw imageProtected(imageId)
      return await removeImage(tx, ctx, image)
    })
    await removeImageFiles(ctx, gone)
  },
})

interface GoneFiles {
  places: readonly Place[]
  stagedFile: string | null
}

/** The rows, whose lock the caller holds. */
export async function removeImage(tx: Tx, ctx: Ctx, image: Image): Promise<GoneFiles> {
  const places = await takePlaces(tx, image.id)
  const row = await tx
    .deleteFrom("image.image")
    .where("id", "=", image.id)
    .returning("staged_file")
    .executeTakeFirst()
  await keepGone(tx, image.id)
  await ctx.drivers.imageKeys?.forget(tx, image.id)
  await announceImage(tx, ctx, "delete", image)
  return { places, stagedFile: row?.staged_file ?? null }
}

/** After the commit. */
export async function removeImageFiles(
  platform: Pick<Platform, "config" | "log">,
  { places, stagedFile }: GoneFiles,
): Promise<void> {
  await removePlaceFiles(platform, places)
  if (stagedFile !== null) await rm(stagingPath(platform, stagedFile), { force: true })
}
