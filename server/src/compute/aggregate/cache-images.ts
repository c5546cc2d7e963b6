import { Type } from "typebox"
import { cacheImagesOnHosts } from "../../image/index.ts"
import { Fault } from "../../platform/fault/fault.ts"
import { loadThing } from "../../platform/noun/list.ts"
import { operation } from "../../platform/operation/operation.ts"
import { badRequest } from "../faults.ts"
import { everything } from "../viewer.ts"
import { aggregateNoun } from "./aggregate.ts"
import { aggregateNotFound } from "./faults.ts"

/** Has images brought to the hosts of the aggregate before anybody boots them. Answered before they are there. */
export const cacheAggregateImages = operation({
  name: "compute.aggregate.cache_images",
  input: Type.Object({ id: Type.String(), imageIds: Type.Array(Type.String()) }),
  faults: [aggregateNotFound, badRequest],
  rule: "compute:aggregates:images",
  run: async (ctx, { id, imageIds }): Promise<void> => {
    if (new Set(imageIds).size < imageIds.length) throw badRequest("Duplicate images in request")
    const { hosts } = await loadThing(ctx.db, aggregateNoun, everything, id)
    try {
      await cacheImagesOnHosts(ctx, { imageIds, hosts })
    } catch (error) {
      const isImages = error instanceof Fault && ["not_found", "invalid", "conflict"].includes(error.kind)
      throw isImages ? badRequest(error.message) : error
    }
  },
})
