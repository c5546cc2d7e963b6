import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { transact } from "../../platform/db/database.ts"
import { operation } from "../../platform/operation/operation.ts"
import { readQuota, resourcesOf } from "../../quota/index.ts"
import { findStore, type ImageStore, storesOf } from "../data/stores.ts"
import {
  imageNotFound,
  importUnderway,
  storeHasNoData,
  storeHasNoImage,
  storeIsLast,
  storeNotThere,
} from "../faults.ts"
import { announceImage } from "../image/events.ts"
import { imageTarget, lockImage, touchImage, visibleImage } from "../image/store.ts"
import { checkIdle, removePlace, removePlaceFiles } from "../location/rows.ts"
import { imageQuota } from "../quota.ts"

export interface StoreFacts {
  store: ImageStore
  isDefault: boolean
}

/** Every store by name. */
export const listStores = operation({
  name: "image.store.list",
  input: Type.Object({}),
  rules: "authenticated",
  run: async (ctx): Promise<StoreFacts[]> => factsOf(ctx),
})

/** With where their data lie; for operators. */
export const showStores = operation({
  name: "image.store.show",
  input: Type.Object({}),
  rule: "stores_info_detail",
  run: async (ctx): Promise<StoreFacts[]> => factsOf(ctx),
})

function factsOf({ config }: Pick<Ctx, "config">): StoreFacts[] {
  return storesOf({ config }).map((store) => ({ store, isDefault: store.id === config.image.defaultStore }))
}

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

/** The image keeps its data in another one. */
export const removeFromStore = operation({
  name: "image.store.remove_data",
  input: Type.Object({ store: Type.String(), imageId: Type.String() }),
  faults: [imageNotFound, importUnderway, storeNotThere, storeHasNoData, storeHasNoImage, storeIsLast],
  load: async (ctx, { store, imageId }) => {
    if (!findStore(ctx, store)) throw storeNotThere(store)
    return await visibleImage(ctx, imageId)
  },
  rules: ["get_image_location", "delete_image_location"],
  authorize: (_ctx, _input, found) => [
    ["get_image_location", imageTarget(found)],
    ["delete_image_location", imageTarget(found)],
  ],
  run: async (ctx, { store, imageId }): Promise<void> => {
    const place = await transact(ctx.db, async (tx) => {
      const image = await lockImage(tx, imageId)
      if (!image) throw imageNotFound(imageId)
      if (image.status !== "active") throw storeHasNoData()
      checkIdle(image)
      const found = image.places.find((each) => each.store === store)
      if (image.places.length === 1) throw storeIsLast()
      if (!found) throw storeHasNoImage(imageId, store)
      await removePlace(tx, imageId, found)
      const changed = await touchImage(tx, imageId, ctx.clock.now())
      await announceImage(tx, ctx, "update", changed)
      return found
    })
    await removePlaceFiles(ctx, [place])
  },
})
