// The metadata service: a small HTTP server on a unix socket. The proxy in each network tells who asks by two
// headers (the address that the packet came from, and the network it came on); only the proxy can reach the socket.
import type { IncomingMessage, ServerResponse } from "node:http"
import type { Platform } from "../../platform/context/context.ts"
import { describeError } from "../../platform/fault/fault.ts"
import { createServer } from "../../platform/http/node-http.ts"
import { listenOnSocket } from "../../platform/net/unix-socket.ts"
import { answerMetadataRequest, type MetadataReply, textReply } from "./request.ts"

/** A guest that keeps a connection open holds nothing of ours for longer. */
const idleMs = 30_000

export async function serveMetadata(
  platform: Platform,
  options: { socketPath: string },
): Promise<AsyncDisposable> {
  const { socketPath } = options
  const http = createServer({ keepAliveTimeout: idleMs, requestTimeout: idleMs }, (request, response) => {
    answer(platform, request, response).catch((error: unknown) => {
      platform.log.error({ err: describeError(error), url: request.url }, "metadata request failed")
      send(response, textReply(500, "The metadata are not at hand now; try again.\n"))
    })
  })
  return await listenOnSocket(http, socketPath)
}

async function answer(platform: Platform, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const answered = await answerMetadataRequest(platform, {
    host: null,
    networkId: header(request, "x-kumoi-network-id"),
    address: header(request, "x-forwarded-for").split(",")[0]?.trim() ?? "",
    method: request.method ?? "GET",
    path: new URL(request.url ?? "/", "http://metadata").pathname,
    body: request,
  })
  send(response, answered)
}

function header(request: IncomingMessage, name: string): string {
  const value = request.headers[name]
  return (Array.isArray(value) ? value[0] : value)?.trim() ?? ""
}

function send(response: ServerResponse, { status, contentType, body }: MetadataReply): void {
  if (response.headersSent) return void response.destroy()
  response.writeHead(status, { "content-type": contentType, "content-length": body.length })
  response.end(body)
}
