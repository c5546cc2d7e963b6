import { Type } from "typebox"
import { operation } from "../../platform/operation/operation.ts"
import { imageNotFound } from "../faults.ts"
import { imageTarget, visibleImage } from "./store.ts"

export const showImage = operation({
  name: "image.image.show",
  input: Type.Object({ imageId: Type.String() }),
  faults: [imageNotFound],
  load: (ctx, { imageId }) => visibleImage(ctx, imageId),
  rule: "get_image",
  target: (_ctx, _input, found) => imageTarget(found),
  run: async (_ctx, _input, image) => image,
})
