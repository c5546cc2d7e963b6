// Images by ticket, at the door: a host reads those of the machines that it was told to make, and writes its snapshots.
import type { IncomingMessage, ServerResponse } from "node:http"
import { pipeline } from "node:stream/promises"
import { doorHeaders, doorPaths } from "./agent/door-protocol.ts"
import { badDoorRequest, headerOf, sendJson } from "./host/index.ts"
import { checkImageTicket, readImageData, statusConflict, storeImageStream } from "./image/index.ts"
import { internalCtx, type Platform } from "./platform/context/context.ts"
import { Fault } from "./platform/fault/fault.ts"
import { isUuid } from "./platform/ids/ids.ts"

const silentMs = 60_000

/** The image that the request names, if the host has a ticket for it. */
function ticketedImage(
  platform: Platform,
  host: string,
  request: IncomingMessage,
  verb: "read" | "write",
): string {
  const imageId = (request.url ?? "").slice(doorPaths.images.length + 1)
  if (!isUuid(imageId)) throw badDoorRequest("The path must end with an image's id.")
  checkImageTicket(platform, { ticket: headerOf(request, doorHeaders.ticket), host, imageId, verb })
  return imageId
}

export async function sendImage(
  platform: Platform,
  host: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const imageId = ticketedImage(platform, host, request, "read")
  const [, first] = /^bytes=(\d{1,15})-$/.exec(headerOf(request, "range") || "bytes=0-") ?? []
  if (first === undefined) throw badDoorRequest("`range` must be bytes=N-.")
  const offset = Number(first)
  const { stream, sizeBytes } = await readImageData(platform, imageId, offset)
  const size =
    sizeBytes === null
      ? {}
      : {
          "content-length": sizeBytes - offset,
          "content-range": `bytes ${offset}-${Math.max(sizeBytes - 1, 0)}/${sizeBytes}`,
        }
  response.writeHead(offset === 0 ? 200 : 206, { "content-type": "application/octet-stream", ...size })
  // A host that goes away in the middle takes it up later.
  await pipeline(stream, response).catch((error: unknown) =>
    platform.log.info({ host, imageId, err: error }, "an image did not reach its host whole"),
  )
}

export async function takeImage(
  platform: Platform,
  host: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const imageId = ticketedImage(platform, host, request, "write")
  const length = headerOf(request, "content-length")
  const sizeBytes = /^\d{1,15}$/.test(length) ? Number(length) : null
  // A host that was cut off in the middle must not keep the image to itself.
  request.socket.setTimeout(silentMs, () => request.destroy(new Error("nothing came for a while")))
  try {
    await storeImageStream(internalCtx(platform), imageId, { stream: request, sizeBytes })
  } catch (error) {
    // Another try of this host's, which broke off and is not over yet: this one comes again.
    if (!statusConflict.is(error)) throw error
    const { code, message } = error
    throw new Fault("unavailable", code, message, { cause: error })
  } finally {
    request.socket.setTimeout(0)
  }
  sendJson(response, {})
}
