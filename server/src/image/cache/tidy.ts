// What an operator looks after in the caches of hosts. They keep themselves within their limits; data of deleted images
// stay until there is need of room, unless somebody has them cleaned away.
import { Type } from "typebox"
import { sendToAgent } from "../../engine/agent-call.ts"
import { inParallel } from "../../platform/clock/in-parallel.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { describeError } from "../../platform/fault/fault.ts"
import { operation } from "../../platform/operation/operation.ts"
import { imageDataUnread, imageNotFound } from "../faults.ts"
import { imageTarget, visibleImage } from "../image/store.ts"
import { askHosts, type CachedData, dataKey, hostsAtOnce, imagesOf } from "./contents.ts"
import { dataOf } from "./data.ts"
import { distinct } from "./remove.saga.ts"

interface Pruned {
  removed: number
  removedBytes: number
}

const hostTimeoutMs = 20_000

/** The names of the hosts that say so now. */
export const showCacheNodes = operation({
  name: "image.cache.nodes",
  input: Type.Object({ imageId: Type.String() }),
  faults: [imageNotFound, imageDataUnread],
  load: (ctx, { imageId }) => visibleImage(ctx, imageId),
  rule: "list_cached_nodes",
  target: (_ctx, _input, found) => imageTarget(found),
  run: async (ctx, _input, image): Promise<string[]> => {
    // Without data it is nowhere.
    if (image.checksum === null && !image.readChecksum) return []
    const key = dataKey(dataOf(image))
    const hosts: string[] = []
    await askHosts(ctx, (host, contents) => {
      if (contents.some((each) => dataKey(each) === key)) hosts.push(host)
    })
    return hosts.sort()
  },
})

export const cleanCache = operation({
  name: "image.cache.clean",
  input: Type.Object({}),
  faults: [],
  rule: "cache_clean",
  run: async (ctx): Promise<Pruned> => await tidy(ctx, { cleans: true }),
})

export const pruneCache = operation({
  name: "image.cache.prune",
  input: Type.Object({}),
  faults: [],
  rule: "cache_prune",
  run: async (ctx): Promise<Pruned> => await tidy(ctx, { cleans: false }),
})

/** `cleans`: data that no image has any more go as well. */
async function tidy(ctx: Ctx, { cleans }: { cleans: boolean }): Promise<Pruned> {
  const byHost = new Map<string, CachedData[]>()
  await askHosts(ctx, (host, contents) => byHost.set(host, contents))
  const known = await imagesOf(ctx.db, distinct([...byHost.values()].flat()))
  const sum: Pruned = { removed: 0, removedBytes: 0 }
  await inParallel([...byHost], hostsAtOnce, async ([host, contents]) => {
    const data = cleans
      ? contents
          .filter((each) => !known.has(dataKey(each)))
          .map(({ checksum, diskFormat }) => ({ checksum, diskFormat }))
      : []
    try {
      const done = await sendToAgent(ctx, host, "image.prune", { data }, { timeoutMs: hostTimeoutMs })
      sum.removed += done.removed
      sum.removedBytes += done.removedBytes
    } catch (error) {
      ctx.log.warn({ host, err: describeError(error) }, "the cache of a host was not tidied")
    }
  })
  return sum
}
