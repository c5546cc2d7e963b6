import { rm } from "node:fs/promises"
import { join } from "node:path"
import { Type } from "typebox"
import type { Platform } from "../../platform/context/context.ts"
import { transact } from "../../platform/db/database.ts"
import { operation } from "../../platform/operation/operation.ts"
import { storePaths } from "../data/paths.ts"
import { imageNotFound, imageProtected } from "../faults.ts"
import { announceImage } from "./events.ts"
import type { Image } from "./image.ts"
import { imageFields, imageTarget, visibleImage } from "./store.ts"

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
      const row = await tx
        .deleteFrom("image.image")
        .where("id", "=", imageId)
        .where("is_protected", "=", false)
        .returning([...imageFields, "data_file", "staged_file"])
        .$castTo<Image & { data_file: string | null; staged_file: string | null }>()
        .executeTakeFirst()
      if (row) await announceImage(tx, ctx, "delete", row)
      return row
    })
    if (gone) return await removeFiles(ctx, gone)
    // Protected, or another request was faster.
    await visibleImage(ctx, imageId)
    throw imageProtected(imageId)
  },
})

async function removeFiles(
  platform: Platform,
  row: { data_file: string | null; staged_file: string | null },
): Promise<void> {
  const { store, staging } = storePaths(platform)
  if (row.data_file) await rm(join(store, row.data_file), { force: true })
  if (row.staged_file) await rm(join(staging, row.staged_file), { force: true })
}
