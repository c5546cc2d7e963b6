// Glance's image cache, which here is that of every host: what machines and volumes are made of lies there. To queue an
// image is to have it brought to all hosts that live, before anybody boots it.
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { type Tx, transact } from "../../platform/db/database.ts"
import { Fault, invalid } from "../../platform/fault/fault.ts"
import { operation } from "../../platform/operation/operation.ts"
import { word } from "../../platform/schema/make.ts"
import { cachedImageInUse, cacheUnderway, imageDataUnread, imageNotFound } from "../faults.ts"
import type { Image } from "../image/image.ts"
import { imageTarget, lockImage, visibleImage } from "../image/store.ts"
import { askHosts, type CachedData, dataKey, imagesOf } from "./contents.ts"
import { dataOf } from "./data.ts"
import { liveCacheHosts } from "./hosts.ts"
import { prefetchSaga } from "./prefetch.saga.ts"
import { emptyQueue, nextCacheGeneration, queuedImages, queueForHosts } from "./queue.ts"
import { distinct, removeSaga } from "./remove.saga.ts"

export interface CachedImage {
  imageId: string
  /** Over all hosts. */
  hits: number
  lastAccessedAt: Date
  /** When it came to the host that has it for the shortest time. */
  lastModifiedAt: Date
  /** What it takes on a host. */
  sizeBytes: number
}

export const showCache = operation({
  name: "image.cache.show",
  input: Type.Object({}),
  faults: [],
  rule: "cache_list",
  run: async (ctx): Promise<{ cached: CachedImage[]; queued: string[] }> => ({
    cached: await cachedImages(ctx),
    queued: await queuedImages(ctx.db),
  }),
})

async function cachedImages(ctx: Ctx): Promise<CachedImage[]> {
  const byData = new Map<string, CachedData & Omit<CachedImage, "imageId">>()
  await askHosts(ctx, (_host, contents) => {
    for (const { checksum, diskFormat, hits, sizeBytes, usedAt, cachedAt } of contents) {
      const key = dataKey({ checksum, diskFormat })
      const had = byData.get(key)
      byData.set(key, {
        ...{ checksum, diskFormat },
        hits: (had?.hits ?? 0) + hits,
        lastAccessedAt: latest(had?.lastAccessedAt, usedAt),
        lastModifiedAt: latest(had?.lastModifiedAt, cachedAt),
        sizeBytes: Math.max(had?.sizeBytes ?? 0, sizeBytes),
      })
    }
  })
  const images = await imagesOf(ctx.db, distinct([...byData.values()]))
  return [...byData].flatMap(([key, { checksum: _, diskFormat: __, ...facts }]) =>
    (images.get(key) ?? []).map((imageId) => ({ imageId, ...facts })),
  )
}

/** A host may say any time; one that is none counts as the beginning. */
function latest(had: Date | undefined, said: string): Date {
  const date = new Date(Date.parse(said) || 0)
  return had && had > date ? had : date
}

export const cacheImage = operation({
  name: "image.cache.queue",
  input: Type.Object({ imageId: Type.String() }),
  faults: [imageNotFound, imageDataUnread],
  load: (ctx, { imageId }) => visibleImage(ctx, imageId),
  rule: "cache_image",
  target: (_ctx, _input, found) => imageTarget(found),
  run: async (ctx, _input, image): Promise<void> => {
    checkQueueable(image)
    await transact(ctx.db, async (tx) => await queueImage(ctx, tx, image, await liveCacheHosts(ctx)))
  },
})

/** For another service, which has asked whether it may; a host that does not live goes without. */
export async function cacheImagesOnHosts(
  ctx: Ctx,
  { imageIds, hosts }: { imageIds: readonly string[]; hosts: readonly string[] },
): Promise<void> {
  const images: Image[] = []
  for (const imageId of imageIds) images.push(await visibleImage(ctx, imageId))
  for (const image of images) checkQueueable(image)
  const live = (await liveCacheHosts(ctx)).filter((host) => hosts.includes(host))
  if (live.length === 0) return
  await transact(ctx.db, async (tx) => {
    for (const image of images) await queueImage(ctx, tx, image, live)
  })
}

function checkQueueable(image: Image): void {
  if (image.status !== "active")
    throw invalid("image_id", "Only images with status active can be targeted for queueing")
  dataOf(image)
  if (image.contentProblem !== null)
    throw invalid("image_id", `No machine can boot image ${image.id}: ${image.contentProblem}.`)
}

async function queueImage(ctx: Ctx, tx: Tx, { id }: Image, hosts: readonly string[]): Promise<void> {
  if (!(await lockImage(tx, id))) throw imageNotFound(id)
  const wish = { imageId: id, generation: await nextCacheGeneration(tx) }
  await queueForHosts(tx, wish, hosts, ctx.clock.now())
  await ctx.sagas.start(tx, prefetchSaga, wish, { requestId: ctx.requestId, resourceId: id })
}

const removalFaults = [cachedImageInUse, cacheUnderway]

/** From the queue, and from the hosts. Data that another image has too are gone for both. */
export const uncacheImage = operation({
  name: "image.cache.remove",
  input: Type.Object({ imageId: Type.String() }),
  faults: [imageNotFound, imageDataUnread, ...removalFaults],
  load: (ctx, { imageId }) => visibleImage(ctx, imageId),
  rule: "cache_delete",
  target: (_ctx, _input, found) => imageTarget(found),
  run: async (ctx, _input, image): Promise<void> => {
    // Without data it was never there.
    if (image.checksum === null && !image.readChecksum) return
    await remove(ctx, { imageId: image.id, ...dataOf(image) })
  },
})

export const clearCache = operation({
  name: "image.cache.clear",
  input: Type.Object({ target: word(["all", "cache", "queue"]) }),
  faults: removalFaults,
  rule: "cache_delete",
  run: async (ctx, { target }): Promise<void> => {
    if (target !== "cache") await transact(ctx.db, (tx) => emptyQueue(tx, null))
    if (target !== "queue") await remove(ctx, null)
  },
})

const answerWithinMs = 30_000

/** Answered when it is done, or known to take longer (ADR 22). */
async function remove(ctx: Ctx, image: (CachedData & { imageId: string }) | null): Promise<void> {
  const sagaId = await transact(ctx.db, async (tx) => {
    if (image) await emptyQueue(tx, image.imageId)
    const generation = await nextCacheGeneration(tx)
    const about = { requestId: ctx.requestId, ...(image ? { resourceId: image.imageId } : {}) }
    return await ctx.sagas.start(tx, removeSaga, { image, generation }, about)
  })
  const { state, failure } = await ctx.sagas.waitForSaga(ctx.db, sagaId, answerWithinMs)
  if (state === "done") return
  if (!failure) throw cacheUnderway()
  const { kind, code, message } = failure
  throw new Fault(kind, code, message)
}
