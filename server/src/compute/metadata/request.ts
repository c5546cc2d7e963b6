// A guest's request for its metadata, whoever brings it: the proxy of this host, or that of another one. Who asks is
// told by the network that the packet came on and the address that it came from; only a proxy knows both.
import { serverIdByAddress } from "../../network/index.ts"
import type { Platform } from "../../platform/context/context.ts"
import { keepGuestPassword, readGuestPassword } from "../server/guest-password.ts"
import type { Server } from "../server/server.ts"
import { selectServer } from "../server/store.ts"
import { answerMetadata, isPasswordPath } from "./answer.ts"
import { metadataFacts } from "./read-facts.ts"

export interface MetadataRequest {
  /** The host whose proxy asks: it is told of its own guests only. Null: the proxy of this process's own cloud. */
  host: string | null
  networkId: string
  address: string
  method: string
  path: string
  /** Read when a guest leaves its password, no further than a password is long. */
  body: AsyncIterable<Uint8Array>
}

export interface MetadataReply {
  status: number
  contentType: string
  body: Buffer
}

export function textReply(status: number, text: string): MetadataReply {
  return { status, contentType: "text/plain", body: Buffer.from(text, "utf8") }
}

export async function answerMetadataRequest(
  platform: Platform,
  asked: MetadataRequest,
): Promise<MetadataReply> {
  const { method, path } = asked
  const isPassword = isPasswordPath(path)
  const isWritten = method === "POST" && isPassword
  if (method !== "GET" && method !== "HEAD" && !isWritten)
    return textReply(405, "Only GET is answered here.\n")
  const server = await serverWhoAsks(platform, asked)
  if (!server) return textReply(404, "There is no server with this address.\n")
  if (isWritten) return await takePassword(platform, server.id, asked.body)
  if (isPassword) return reply("application/octet-stream", await readGuestPassword(platform.db, server.id))
  const found = answerMetadata(await metadataFacts(platform, server), path)
  return found ? reply(found.contentType, found.body) : textReply(404, "Not found.\n")
}

async function serverWhoAsks(
  { db }: Platform,
  { host, networkId, address }: MetadataRequest,
): Promise<Server | undefined> {
  const serverId = await serverIdByAddress(db, { networkId, address })
  const server = serverId === undefined ? undefined : await selectServer(db, serverId)
  return host === null || server?.host === host ? server : undefined
}

function reply(contentType: string, text: string): MetadataReply {
  // User data are bytes kept one by one; all else is UTF-8 text.
  const isBytes = contentType === "application/octet-stream"
  return { status: 200, contentType, body: Buffer.from(text, isBytes ? "latin1" : "utf8") }
}

/** Nova's limit. */
const passwordBytesMost = 1_020

async function takePassword(
  platform: Platform,
  serverId: string,
  body: AsyncIterable<Uint8Array>,
): Promise<MetadataReply> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of body) {
    size += chunk.length
    if (size > passwordBytesMost)
      return textReply(400, `A password has ${passwordBytesMost} bytes at the most.\n`)
    chunks.push(chunk)
  }
  const password = Buffer.concat(chunks).toString("latin1")
  if (password.includes("\0")) return textReply(400, "A password has no byte 0.\n")
  const isKept = await keepGuestPassword(platform.db, serverId, password)
  return isKept ? textReply(200, "") : textReply(409, "There is a password already.\n")
}
