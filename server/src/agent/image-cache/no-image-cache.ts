import type { ImageCache } from "./image-cache.ts"

/** For hypervisors that never read a disk (the fake): nothing is fetched. */
export const noImageCache: ImageCache = {
  ensureImage: async () => ({ path: "/dev/null", format: "raw", virtualSizeBytes: 0 }),
  prune: async () => ({ removed: 0, removedBytes: 0 }),
  list: () => [],
  remove: async () => "absent",
}
