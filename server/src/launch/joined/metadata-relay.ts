// The socket of a joined host's metadata proxy: hands each request of a guest to the cloud, which answers for the
// guests of this host alone.
import type { IncomingMessage, ServerResponse } from "node:http"
import { doorHeaders, doorPaths } from "../../agent/door-protocol.ts"
import { describeError } from "../../platform/fault/fault.ts"
import { createServer } from "../../platform/http/node-http.ts"
import type { Logger } from "../../platform/log/log.ts"
import { listenOnSocket } from "../../platform/net/unix-socket.ts"
import type { DoorClient } from "./door-client.ts"

/** A guest that keeps a connection open holds nothing of ours for longer. */
const idleMs = 30_000
const answerTimeoutMs = 10_000

export async function relayMetadata(
  client: DoorClient,
  options: { socketPath: string; log: Logger },
): Promise<AsyncDisposable> {
  const { socketPath, log } = options
  const http = createServer({ keepAliveTimeout: idleMs, requestTimeout: idleMs }, (request, response) => {
    relay(client, request, response).catch((error: unknown) => {
      log.warn({ error: describeError(error), url: request.url }, "a metadata request was not handed on")
      if (response.headersSent) response.destroy()
      else
        response.writeHead(503, { "content-type": "text/plain" }).end("The metadata are not at hand now.\n")
    })
  })
  return await listenOnSocket(http, socketPath)
}

async function relay(client: DoorClient, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { method = "GET" } = request
  const isPost = method === "POST"
  if (!isPost && method !== "GET" && method !== "HEAD") {
    response.writeHead(405, { "content-type": "text/plain" }).end("Only GET is answered here.\n")
    return
  }
  const path = new URL(request.url ?? "/", "http://metadata").pathname
  const header = (name: string) => String(request.headers[name] ?? "").trim()
  const answer = await client.ask({
    method: isPost ? "POST" : "GET",
    path: `${doorPaths.metadata}${path}`,
    headers: {
      [doorHeaders.guest]: header("x-forwarded-for").split(",")[0]?.trim() ?? "",
      [doorHeaders.network]: header("x-kumoi-network-id"),
    },
    ...(isPost ? { body: request } : {}),
    timeoutMs: answerTimeoutMs,
  })
  const { "content-type": type = "text/plain", "content-length": length } = answer.headers
  response.writeHead(Number(answer.headers[doorHeaders.status] ?? 500), {
    "content-type": type,
    ...(length === undefined ? {} : { "content-length": length }),
  })
  answer.pipe(response)
}
