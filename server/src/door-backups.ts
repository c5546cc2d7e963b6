// Data of backups by ticket, at the door: a host brings those of the volumes that it was told to copy, and fetches
// those that it was told to restore.
import type { IncomingMessage, ServerResponse } from "node:http"
import { Type } from "typebox"
import { doorHeaders, doorPaths, type FinishedBackup } from "./agent/door-protocol.ts"
import { digestBytes, partChunks } from "./agent/volumes/backup-store.ts"
import {
  checkBackupTicket,
  digestsOfPart,
  type FromHost,
  finishData,
  offerChunks,
  openData,
  putChunk,
  readChunk,
} from "./block-storage/index.ts"
import { badDoorRequest, doorBusy, headerOf, sendJson } from "./host/index.ts"
import type { Platform } from "./platform/context/context.ts"
import { parsedOrNull } from "./platform/http/json.ts"
import { isUuid } from "./platform/ids/ids.ts"
import { fits } from "./platform/schema/compiled.ts"

const silentMs = 60_000
const chunkBytesMost = 64 * 1024 ** 2
/** Bodies of one host that are taken at a time; an agent sends three for each backup, and asks again when it is told to. */
const bodiesMost = 12
const bodiesOf = new Map<string, number>()

interface Asked {
  from: FromHost
  what: "index" | "data" | "whole"
  number: number
}

function readAsked(host: string, request: IncomingMessage): Asked {
  const path = (request.url ?? "").slice(doorPaths.backups.length + 1)
  const [, dataId = "", what, number] =
    /^([0-9a-f-]{36})\/(index|data|whole)(?:\/(\d{1,9}))?$/.exec(path) ?? []
  const isRight = isUuid(dataId) && (what === "whole") === (number === undefined)
  if (!isRight) throw badDoorRequest("The path must end with /ID/whole, /ID/index/N or /ID/data/N.")
  const from = { host, dataId, ticket: headerOf(request, doorHeaders.backupTicket) }
  // The pattern has no other words.
  return { from, what: what as Asked["what"], number: Number(number ?? 0) }
}

export async function sendBackupData(
  platform: Platform,
  host: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { from, what, number } = readAsked(host, request)
  if (what === "whole") return sendJson(response, (await openData(platform, from)) satisfies FinishedBackup)
  const bytes =
    what === "index"
      ? await digestsOfPart(platform, { ...from, part: number })
      : await readChunk(platform, { ...from, chunk: number })
  response.writeHead(200, { "content-type": "application/octet-stream", "content-length": bytes.length })
  response.end(bytes)
}

const Finished = Type.Object({
  sizeBytes: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
  chunkBytes: Type.Integer({ minimum: 512, maximum: chunkBytesMost }),
})

export async function takeBackupIndex(
  platform: Platform,
  host: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { from, what, number } = readAsked(host, request)
  if (what === "data") throw badDoorRequest("A chunk is sent by PUT.")
  const body = await takeBody(platform, from, request, partChunks * digestBytes)
  if (what === "index")
    return sendJson(response, await offerChunks(platform, { ...from, part: number, digests: body }))
  const finished = parsedOrNull(body.toString())
  if (!fits(Finished, finished)) throw badDoorRequest("The body must say sizeBytes and chunkBytes.")
  // The schema has just said so.
  await finishData(platform, { ...from, ...(finished as FinishedBackup) })
  sendJson(response, {})
}

export async function takeBackupChunk(
  platform: Platform,
  host: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { from, what, number } = readAsked(host, request)
  if (what !== "data") throw badDoorRequest("Only chunks are sent by PUT.")
  const data = await takeBody(platform, from, request, chunkBytesMost)
  await putChunk(platform, { ...from, chunk: number, data })
  sendJson(response, {})
}

/** Only by a ticket, and of one host no more than a few at a time: bodies are in memory. */
async function takeBody(
  platform: Platform,
  from: FromHost,
  request: IncomingMessage,
  bytesMost: number,
): Promise<Buffer<ArrayBuffer>> {
  const { host } = from
  checkBackupTicket(platform, { ...from, verb: "write" })
  const now = bodiesOf.get(host) ?? 0
  if (now >= bodiesMost) throw doorBusy(bodiesMost)
  bodiesOf.set(host, now + 1)
  try {
    return await readBody(request, bytesMost)
  } finally {
    const left = (bodiesOf.get(host) ?? 1) - 1
    if (left > 0) bodiesOf.set(host, left)
    else bodiesOf.delete(host)
  }
}

async function readBody(request: IncomingMessage, bytesMost: number): Promise<Buffer<ArrayBuffer>> {
  const { socket } = request
  const onSilence = () => request.destroy(new Error("nothing came for a while"))
  // Taken away again: a host sends one after the other on one connection.
  socket.setTimeout(silentMs).on("timeout", onSilence)
  const chunks: Buffer[] = []
  let size = 0
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      size += chunk.length
      if (size > bytesMost) throw badDoorRequest(`The body may have ${bytesMost} bytes.`)
      chunks.push(chunk)
    }
  } finally {
    socket.off("timeout", onSilence).setTimeout(0)
  }
  return Buffer.concat(chunks)
}
