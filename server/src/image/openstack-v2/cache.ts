import { amount, count, many, shape, text, texts } from "../../api/openstack/shape.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { type Route, reply, route, type WireRequest } from "../../platform/http/wire.ts"
import {
  type CachedImage,
  cacheImage,
  cleanCache,
  clearCache,
  pruneCache,
  showCache,
  showCacheNodes,
  uncacheImage,
} from "../index.ts"

const cached = shape("CachedImage", {
  image_id: text,
  hits: count,
  last_accessed: amount,
  last_modified: amount,
  size: count,
})
const contents = shape("ImageCache", { cached_images: many(cached), queued_images: texts })
const pruned = shape("PrunedCache", { total_files_pruned: count, total_bytes_pruned: count })

/** Times are seconds since 1970. */
function viewCached({ imageId, hits, lastAccessedAt, lastModifiedAt, sizeBytes }: CachedImage) {
  return {
    image_id: imageId,
    hits,
    last_accessed: lastAccessedAt.getTime() / 1000,
    last_modified: lastModifiedAt.getTime() / 1000,
    size: sizeBytes,
  }
}

const targetHeader = "x-image-cache-clear-target"

function readTarget(req: WireRequest): "all" | "cache" | "queue" {
  const target = String(req.headers[targetHeader] ?? "").toLowerCase()
  if (target === "") return "all"
  if (target === "cache" || target === "queue") return target
  throw invalid(targetHeader, `If provided '${targetHeader}' must be 'cache', 'queue' or empty string.`)
}

const imageIdOf = (req: WireRequest) => ({ imageId: req.params.image_id ?? "" })

export const cacheRoutes: Route[] = [
  route({
    method: "GET",
    path: "/cache",
    operation: showCache,
    told: { answer: contents },
    handler: async (ctx) => {
      const { cached, queued } = await showCache(ctx, {})
      return { cached_images: cached.map(viewCached), queued_images: queued }
    },
  }),
  route({
    method: "DELETE",
    path: "/cache",
    operation: clearCache,
    handler: (ctx, req) => clearCache(ctx, { target: readTarget(req) }),
  }),
  route({
    method: "GET",
    path: "/cache/nodes/{image_id}",
    operation: showCacheNodes,
    told: { answer: texts },
    handler: (ctx, req) => showCacheNodes(ctx, imageIdOf(req)),
  }),
  route({
    method: "POST",
    path: "/cache/clean",
    status: 200,
    operation: cleanCache,
    handler: async (ctx) => {
      await cleanCache(ctx, {})
      return reply(200)
    },
  }),
  route({
    method: "POST",
    path: "/cache/prune",
    status: 200,
    operation: pruneCache,
    told: { answer: pruned },
    handler: async (ctx) => {
      const { removed, removedBytes } = await pruneCache(ctx, {})
      return { total_files_pruned: removed, total_bytes_pruned: removedBytes }
    },
  }),
  route({
    method: "PUT",
    path: "/cache/{image_id}",
    operation: cacheImage,
    status: 202,
    handler: (ctx, req) => cacheImage(ctx, imageIdOf(req)),
  }),
  route({
    method: "DELETE",
    path: "/cache/{image_id}",
    operation: uncacheImage,
    handler: (ctx, req) => uncacheImage(ctx, imageIdOf(req)),
  }),
]
