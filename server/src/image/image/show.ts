import { Type } from "typebox"
import { operation } from "../../platform/operation/operation.ts"
import { imageNotFound } from "../faults.ts"
import { imageTarget, visibleImage } from "./store.ts"

export const showImage = operation({
  name: "image.image.show",
  input: Type.Object({ imageId: Type.String() }),
  faults: [imageNotFound],
  load: (ctx, { imageId }) => visibleImage(ctx, imageId),
  authorize: (_ctx, _input, found) => [["get_image", imageTarget(found)]],
  run: async (_ctx, _input, { image }) => image,
})
