// An image that goes from one host to another, by a stream that the cloud joins.
//
//   8 bytes    how many follow
//   …          the image (qcow2): holes cost nothing
//   32 bytes   its SHA-256
import { createReadStream } from "node:fs"
import { mkdir, open, rm, stat } from "node:fs/promises"
import { join } from "node:path"
import type { Duplex } from "node:stream"
import { pipeline } from "node:stream/promises"
import { openStreamHash, type StreamHash } from "../platform/hash/stream-hash.ts"
import { newUuid } from "../platform/ids/ids.ts"

const lengthBytes = 8
const sumBytes = 32
/** The other end makes the image first, which takes as long as a copy does. */
export const travelIdleMs = 2 * 3_600_000
/** What an image has beside the data: its tables, and the last cluster's rest. */
const mostOver = { part: 1 / 64, bytes: 16 * 1024 ** 2 }

/** Bytes that an image of a disk of this size has at the most. */
export function imageMostBytes(diskBytes: number): number {
  return Math.ceil(diskBytes * (1 + mostOver.part)) + mostOver.bytes
}

/** A file for an image on its way; gone when the task has ended. */
export async function withTravelFile<T>(
  dir: string,
  id: string,
  task: (path: string) => Promise<T>,
): Promise<T> {
  await mkdir(dir, { recursive: true, mode: 0o711 })
  const path = join(dir, `${id}.${newUuid()}`)
  try {
    return await task(path)
  } finally {
    await rm(path, { force: true })
  }
}

export async function sendFile(stream: Duplex, path: string, signal: AbortSignal): Promise<void> {
  const { size } = await stat(path)
  const length = Buffer.alloc(lengthBytes)
  length.writeBigUInt64BE(BigInt(size))
  const all = async function* () {
    using hash = openStreamHash(["sha256"])
    yield length
    for await (const chunk of createReadStream(path)) {
      await hash.update(chunk)
      yield chunk
    }
    yield await sumOf(hash)
  }
  // Told by the pipeline; what comes after the last byte is nobody's.
  stream.on("error", () => {})
  // The other end says nothing, and closes when it has all of it.
  stream.resume()
  await pipeline(all, stream, { signal })
}

async function sumOf(hash: StreamHash): Promise<Buffer> {
  const [sum = ""] = await hash.digests()
  return Buffer.from(sum, "hex")
}

export interface Incoming {
  /** That what comes is not whole, in the words of who takes it. */
  broken: (why: string) => Error
  mostBytes: number
  idleMs: number
  signal: AbortSignal
}

export async function receiveFile(
  stream: Duplex,
  path: string,
  { broken, mostBytes, idleMs, signal }: Incoming,
): Promise<void> {
  // Told by whoever reads it, who may not have begun.
  stream.on("error", () => {})
  using hash = openStreamHash(["sha256"])
  const end = () => stream.destroy(new Error("nobody waits for it any more"))
  const idle = setTimeout(() => stream.destroy(new Error(`it brought nothing for ${idleMs} ms`)), idleMs)
  signal.addEventListener("abort", end, { once: true })
  if (signal.aborted) end()
  let head = Buffer.alloc(0)
  let left: number | null = null
  let sum = Buffer.alloc(0)
  try {
    await using file = await open(path, "wx", 0o600)
    for await (const got of stream as AsyncIterable<Buffer>) {
      idle.refresh()
      let chunk = got
      if (left === null) {
        head = Buffer.concat([head, chunk])
        if (head.length < lengthBytes) continue
        left = Number(head.readBigUInt64BE())
        if (left > mostBytes) throw broken(`it is an image of ${left} bytes`)
        chunk = head.subarray(lengthBytes)
      }
      const data = chunk.subarray(0, left)
      await file.writeFile(data)
      await hash.update(data)
      left -= data.length
      sum = Buffer.concat([sum, chunk.subarray(data.length)]).subarray(0, sumBytes)
      if (left === 0 && sum.length === sumBytes) break
    }
    await file.sync()
  } catch (error) {
    if (signal.aborted) throw signal.reason
    throw error
  } finally {
    clearTimeout(idle)
    signal.removeEventListener("abort", end)
    stream.destroy()
  }
  if (left !== 0 || sum.length < sumBytes) throw broken("it ended in its middle")
  if (!(await sumOf(hash)).equals(sum)) throw broken("its checksum is another")
}
