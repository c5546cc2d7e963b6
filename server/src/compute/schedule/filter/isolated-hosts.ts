import type { Filter } from "./filter.ts"

/** Isolated images (by id) run on isolated hosts only, and others not on them, unless that is not restricted. */
export const isolatedHostsFilter: Filter = {
  name: "IsolatedHostsFilter",
  isAsked: (_request, options) => options.isolatedImages.length + options.isolatedHosts.length > 0,
  refuse: (host, { image }, options) => {
    const isIsolatedHost = options.isolatedHosts.includes(host.name)
    const isIsolatedImage = image !== null && options.isolatedImages.includes(image.id)
    if (isIsolatedImage && !isIsolatedHost) {
      return {
        why: "the image runs on isolated hosts only, and this is none",
        fix: "add it to isolatedHosts",
        forUser: "the image runs on isolated hosts only",
      }
    }
    if (isIsolatedImage || !isIsolatedHost || !options.restrictIsolatedHostsToIsolatedImages) return null
    return { why: "it is for isolated images only", fix: "add the image to isolatedImages" }
  },
}
