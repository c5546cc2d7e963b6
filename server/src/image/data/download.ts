import { type FileHandle, open } from "node:fs/promises"
import { join } from "node:path"
import type { Readable } from "node:stream"
import { Type } from "typebox"
import type { Ctx, Platform } from "../../platform/context/context.ts"
import type { DbOrTx } from "../../platform/db/database.ts"
import { operation } from "../../platform/operation/operation.ts"
import { dataDeactivated, imageHasNoData, imageNotFound, rangeNotSatisfiable } from "../faults.ts"
import { hasData, type Image } from "../image/image.ts"
import { imageTarget, isAdmin, visibleImage } from "../image/store.ts"
import { storePaths } from "./paths.ts"
import { type ByteRange, parseContentRange, parseRange } from "./range.ts"

export interface ImageData {
  image: Image
  sizeBytes: number
  range: ByteRange | null
  stream: Readable
}

/** The data of an image, or a part of them; null while it has none. */
export const downloadImage = operation({
  name: "image.data.download",
  input: Type.Object({
    imageId: Type.String(),
    /** `Range` as the client sent it. */
    range: Type.Union([Type.String(), Type.Null()]),
    contentRange: Type.Union([Type.String(), Type.Null()]),
  }),
  faults: [imageNotFound, dataDeactivated, rangeNotSatisfiable],
  load: (ctx, { imageId }) => visibleImage(ctx, imageId),
  rules: ["download_image"],
  authorize: (ctx, _input, found) => {
    if (found.status === "deactivated" && !isAdmin(ctx)) throw dataDeactivated()
    return [["download_image", imageTarget(found)]]
  },
  run: async (ctx, input, image): Promise<ImageData | null> => {
    const file = await openFile(ctx, image)
    if (!file) return null
    try {
      const sizeBytes = image.sizeBytes ?? 0
      const range =
        input.range !== null
          ? parseRange(input.range, sizeBytes)
          : input.contentRange !== null
            ? parseContentRange(input.contentRange, sizeBytes)
            : null
      const stream = file.createReadStream({ ...(range ?? {}), highWaterMark: 256 * 1024 })
      return { image, sizeBytes, range, stream }
    } catch (error) {
      await file.close()
      throw error
    }
  },
})

async function openFile(ctx: Ctx, image: Image): Promise<FileHandle | undefined> {
  if (!hasData(image)) return undefined
  const path = await findDataPath(ctx, ctx.db, image.id)
  // Opened before the reply begins: a file that is gone by then is a fault and not a torn download.
  return path === undefined ? undefined : await open(path, "r")
}

/** Path of the image's data; undefined while it has none. The file never changes; it may be removed. */
export async function findDataPath(
  platform: Platform,
  db: DbOrTx,
  imageId: string,
): Promise<string | undefined> {
  const row = await db
    .selectFrom("image.image")
    .select("data_file")
    .where("id", "=", imageId)
    .where("status", "in", ["active", "deactivated"])
    .executeTakeFirst()
  return row?.data_file ? join(storePaths(platform).store, row.data_file) : undefined
}

/** For readers that have asked already whether the image may be used, on this host. */
export async function openImageData(platform: Platform, imageId: string): Promise<{ path: string }> {
  const path = await findDataPath(platform, platform.db, imageId)
  if (path === undefined) throw imageHasNoData(imageId)
  return { path }
}

/** The same as a stream from this byte on, for readers on another host. `sizeBytes` is that of all the data. */
export async function readImageData(
  platform: Platform,
  imageId: string,
  offset: number,
): Promise<{ stream: Readable; sizeBytes: number }> {
  const { path } = await openImageData(platform, imageId)
  const file = await open(path, "r")
  try {
    const { size: sizeBytes } = await file.stat()
    if (offset > sizeBytes) throw rangeNotSatisfiable(`bytes=${offset}-`, sizeBytes)
    return { stream: file.createReadStream({ start: offset, highWaterMark: 256 * 1024 }), sizeBytes }
  } catch (error) {
    await file.close()
    throw error
  }
}
