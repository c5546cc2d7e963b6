// The image store as an agent in the process of the control plane sees it: by paths, and with the same tickets as over
// a network. Belongs to the composition root, as the agent knows no service.
import type { ImageStore } from "./agent/image-cache/image-store.ts"
import { checkImageTicket, openImageData, storeImageFile } from "./image/index.ts"
import { internalCtx, type Platform } from "./platform/context/context.ts"

export function localImageStore(platform: Platform): ImageStore {
  const { host } = platform.config
  return {
    open: async (imageId, ticket, { offset }) => {
      checkImageTicket(platform, { ticket, host, imageId, verb: "read" })
      return await openImageData(platform, imageId, offset)
    },
    store: async (imageId, ticket, path) => {
      checkImageTicket(platform, { ticket, host, imageId, verb: "write" })
      await storeImageFile(internalCtx(platform), imageId, path)
    },
  }
}
