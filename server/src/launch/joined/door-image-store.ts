// The cloud's image store as a joined host reaches it: through the door, by the ticket that a command brought.
import { createReadStream } from "node:fs"
import { stat } from "node:fs/promises"
import { doorHeaders, doorPaths } from "../../agent/door-protocol.ts"
import type { ImageStore } from "../../agent/image-cache/image-store.ts"
import type { DoorClient } from "./door-client.ts"

/** The cloud looks at what was sent before it answers: hashed on the way, but an image may be large. */
const storeTimeoutMs = 900_000

export function doorImageStore(client: DoorClient): ImageStore {
  return {
    open: async (imageId, ticket, { offset, signal }) => {
      const response = await client.ask({
        path: `${doorPaths.images}/${imageId}`,
        headers: { [doorHeaders.ticket]: ticket, range: `bytes=${offset}-` },
        ...(signal ? { signal } : {}),
      })
      const [, total] = /\/(\d+)$/.exec(response.headers["content-range"] ?? "") ?? []
      return { stream: response, sizeBytes: total === undefined ? null : Number(total) }
    },
    store: async (imageId, ticket, path, { signal }) => {
      const { size } = await stat(path)
      const response = await client.ask({
        method: "PUT",
        path: `${doorPaths.images}/${imageId}`,
        headers: { [doorHeaders.ticket]: ticket, "content-length": String(size) },
        body: createReadStream(path, { highWaterMark: 256 * 1024 }),
        timeoutMs: storeTimeoutMs,
        signal,
      })
      response.resume()
    },
  }
}
