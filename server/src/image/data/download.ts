import type { Readable } from "node:stream"
import { Type } from "typebox"
import { operation } from "../../platform/operation/operation.ts"
import {
  dataDeactivated,
  dataUnreachable,
  imageHasNoData,
  imageNotFound,
  rangeNotSatisfiable,
} from "../faults.ts"
import { hasData, type Image } from "../image/image.ts"
import { imageTarget, isAdmin, visibleImage } from "../image/store.ts"
import { type ByteRange, parseContentRange, parseRange } from "./range.ts"
import { readPart } from "./read.ts"

export interface ImageData {
  image: Image
  /** Null: of data at an address that does not say, and that were not read yet. */
  sizeBytes: number | null
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
  faults: [imageNotFound, imageHasNoData, dataDeactivated, dataUnreachable, rangeNotSatisfiable],
  load: (ctx, { imageId }) => visibleImage(ctx, imageId),
  rules: ["download_image"],
  authorize: (ctx, _input, found) => {
    if (found.status === "deactivated" && !isAdmin(ctx)) throw dataDeactivated()
    return [["download_image", imageTarget(found)]]
  },
  run: async (ctx, input, image): Promise<ImageData | null> => {
    if (!hasData(image)) return null
    const { sizeBytes } = image
    const range =
      input.range !== null
        ? parseRange(input.range, sizeBytes ?? 0)
        : input.contentRange !== null
          ? parseContentRange(input.contentRange, sizeBytes ?? 0)
          : null
    return { image, sizeBytes, range, ...(await readPart(ctx, image, range)) }
  },
})
