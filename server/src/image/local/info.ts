import { Type } from "typebox"
import { operation } from "../../platform/operation/operation.ts"
import { readQuota, resourcesOf } from "../../quota/index.ts"
import { storeId, storePaths } from "../data/paths.ts"
import { imageNotFound, storeHasNoData, storeIsLast, storeNotThere } from "../faults.ts"
import { imageTarget, visibleImage } from "../image/store.ts"
import { imageQuota } from "../quota.ts"

/** Where the data are; for operators. */
export const showStores = operation({
  name: "image.store.show",
  input: Type.Object({}),
  rule: "stores_info_detail",
  run: async (ctx) => ({ directory: storePaths(ctx).store, chunkBytes: 65_536 }),
})

export interface UsageAndLimit {
  usage: number
  /** -1: none. */
  limit: number
}

/** What the caller's project uses of its quota. */
export const showImageUsage = operation({
  name: "image.usage.show",
  input: Type.Object({}),
  rules: "authenticated",
  run: async (ctx): Promise<Record<string, UsageAndLimit>> => {
    const { projectId } = ctx.caller
    if (!projectId) return {}
    const { limits, used } = await readQuota(ctx, ctx.db, imageQuota, { projectId })
    return Object.fromEntries(
      resourcesOf(imageQuota).map((name) => [name, { usage: used[name], limit: limits[name] }]),
    )
  },
})

/** There is one store, and an image keeps its data: this says why not. */
export const removeFromStore = operation({
  name: "image.store.remove_data",
  input: Type.Object({ store: Type.String(), imageId: Type.String() }),
  faults: [imageNotFound, storeNotThere, storeHasNoData, storeIsLast],
  load: async (ctx, { store, imageId }) => {
    if (store !== storeId) throw storeNotThere(store)
    return await visibleImage(ctx, imageId)
  },
  rules: ["get_image_location", "delete_image_location"],
  authorize: (_ctx, _input, found) => [
    ["get_image_location", imageTarget(found)],
    ["delete_image_location", imageTarget(found)],
  ],
  run: async (_ctx, _input, image): Promise<void> => {
    throw image.status === "active" ? storeIsLast() : storeHasNoData()
  },
})
