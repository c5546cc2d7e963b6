// The metadata service: a small HTTP server on a unix socket. The proxy in each network tells who asks by two
// headers (the address that the packet came from, and the network it came on); only the proxy can reach the socket.
import { chmod, rm } from "node:fs/promises"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import { serverIdByAddress } from "../../network/index.ts"
import type { Platform } from "../../platform/context/context.ts"
import { describeError } from "../../platform/fault/fault.ts"
import { keepGuestPassword, readGuestPassword } from "../server/guest-password.ts"
import { selectServer } from "../server/store.ts"
import { answerMetadata, isPasswordPath } from "./answer.ts"
import { metadataFacts } from "./content.ts"

/** A guest that keeps a connection open holds nothing of ours for longer. */
const idleMs = 30_000

export async function serveMetadata(
  platform: Platform,
  options: { socketPath: string },
): Promise<AsyncDisposable> {
  const { socketPath } = options
  await rm(socketPath, { force: true })
  const http = createServer({ keepAliveTimeout: idleMs, requestTimeout: idleMs }, (request, response) => {
    answer(platform, request, response).catch((error: unknown) => {
      platform.log.error({ err: describeError(error), url: request.url }, "metadata request failed")
      send(response, 500, "The metadata are not at hand now; try again.\n", "text/plain")
    })
  })
  await new Promise<void>((resolve, reject) => {
    http.once("error", reject)
    http.listen(socketPath, resolve)
  })
  await chmod(socketPath, 0o600)
  return {
    async [Symbol.asyncDispose]() {
      http.closeAllConnections()
      await new Promise<void>((resolve) => http.close(() => resolve()))
      await rm(socketPath, { force: true })
    },
  }
}

function header(request: IncomingMessage, name: string): string {
  const value = request.headers[name]
  return (Array.isArray(value) ? value[0] : value)?.trim() ?? ""
}

async function answer(platform: Platform, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = new URL(request.url ?? "/", "http://metadata").pathname
  const isPassword = isPasswordPath(path)
  const isWritten = request.method === "POST" && isPassword
  if (request.method !== "GET" && request.method !== "HEAD" && !isWritten)
    return send(response, 405, "Only GET is answered here.\n", "text/plain")
  const address = header(request, "x-forwarded-for").split(",")[0]?.trim() ?? ""
  const networkId = header(request, "x-kumoi-network-id")
  const serverId = await serverIdByAddress(platform.db, { networkId, address })
  const server = serverId === undefined ? undefined : await selectServer(platform.db, serverId)
  if (!server) return send(response, 404, "There is no server with this address.\n", "text/plain")
  if (isWritten) return await takePassword(platform, server.id, request, response)
  if (isPassword)
    return send(response, 200, await readGuestPassword(platform.db, server.id), "application/octet-stream")
  const facts = await metadataFacts(platform, server)
  const found = answerMetadata(facts, path)
  if (!found) return send(response, 404, "Not found.\n", "text/plain")
  send(response, 200, found.body, found.contentType)
}

/** Nova's limit. */
const passwordBytesMost = 1_020

async function takePassword(
  platform: Platform,
  serverId: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > passwordBytesMost)
      return send(response, 400, `A password has ${passwordBytesMost} bytes at the most.\n`, "text/plain")
    chunks.push(chunk)
  }
  const password = Buffer.concat(chunks).toString("latin1")
  if (password.includes("\0")) return send(response, 400, "A password has no byte 0.\n", "text/plain")
  const isKept = await keepGuestPassword(platform.db, serverId, password)
  if (!isKept) return send(response, 409, "There is a password already.\n", "text/plain")
  send(response, 200, "", "text/plain")
}

function send(response: ServerResponse, status: number, body: string, contentType: string): void {
  if (response.headersSent) return void response.destroy()
  // User data are bytes kept one by one; all else is UTF-8 text.
  const bytes = Buffer.from(body, contentType === "application/octet-stream" ? "latin1" : "utf8")
  response.writeHead(status, { "content-type": contentType, "content-length": bytes.length })
  response.end(bytes)
}
