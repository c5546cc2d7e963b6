// Takes an image's data in from a stream. One that breaks is taken up where it broke; the sum over all of it decides
// whether it is the image.
import { createReadStream } from "node:fs"
import { type FileHandle, open } from "node:fs/promises"
import type { Readable } from "node:stream"
import type { Clock } from "../../platform/clock/clock.ts"
import { Fault } from "../../platform/fault/fault.ts"
import { openStreamHash, type StreamHash } from "../../platform/hash/stream-hash.ts"
import { agentCacheFull, agentImageChecksumWrong, agentImageMissing } from "../faults.ts"

export interface Incoming {
  imageId: string
  checksum: string
  to: string
  limitBytes: number
  /** All the data. */
  first: ImageStream
  /** Opens them from this byte on; null: what breaks stays broken. */
  again: ((offset: number) => Promise<ImageStream>) | null
}

export interface ImageStream {
  stream: Readable
  /** Of all the data, wherever the stream begins; null: not known. */
  sizeBytes: number | null
}

export interface Patience {
  clock: Clock
  signal: AbortSignal | undefined
  /** Before each further try that follows one which brought too little; then it is given up. */
  pausesMs: readonly number[]
  /** A stream that brings nothing for so long is broken: a machine waits for it. */
  idleMs: number
}

/** A try that brought so much was worth it, and the pauses begin anew. */
const progressBytes = 1024 ** 2

const hashes: Record<number, string> = { 32: "md5", 64: "sha256", 128: "sha512" }

export async function receiveImage(incoming: Incoming, patience: Patience): Promise<void> {
  const { imageId, checksum, limitBytes, to } = incoming
  const algorithm = hashes[checksum.length]
  // It may break before anybody reads it, and shows that to the first reader.
  incoming.first.stream.on("error", () => {})
  try {
    if (!algorithm) throw agentImageChecksumWrong(imageId)
    await using file = await open(to, "w", 0o644)
    using hash = openStreamHash([algorithm])
    await takeAll(incoming, patience, new Taken(file, hash, limitBytes))
    await file.sync()
    if ((await hash.digests())[0] !== checksum) throw agentImageChecksumWrong(imageId)
  } finally {
    incoming.first.stream.destroy()
  }
}

/** Throws when the data of the file do not have the checksum. */
export async function checkFile(
  imageId: string,
  path: string,
  checksum: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const algorithm = hashes[checksum.length]
  if (!algorithm) throw agentImageChecksumWrong(imageId)
  using hash = openStreamHash([algorithm])
  const chunks: AsyncIterable<Buffer> = createReadStream(path, { highWaterMark: 1024 ** 2, signal })
  for await (const chunk of chunks) await hash.update(chunk)
  if ((await hash.digests())[0] !== checksum) throw agentImageChecksumWrong(imageId)
}

class Taken {
  readonly #file: FileHandle
  readonly #hash: StreamHash
  readonly #limitBytes: number
  bytes = 0

  constructor(file: FileHandle, hash: StreamHash, limitBytes: number) {
    this.#file = file
    this.#hash = hash
    this.#limitBytes = limitBytes
  }

  async add(chunk: Buffer): Promise<void> {
    if (this.bytes + chunk.length > this.#limitBytes) {
      throw agentCacheFull(this.bytes + chunk.length, this.#limitBytes)
    }
    await this.#file.writeFile(chunk)
    await this.#hash.update(chunk)
    this.bytes += chunk.length
  }
}

async function takeAll(
  { imageId, first, again }: Incoming,
  { clock, idleMs, pausesMs, signal }: Patience,
  taken: Taken,
): Promise<void> {
  let broken = await takeOne(first, taken, idleMs)
  let poorTries = 0
  while (broken !== null) {
    const pauseMs = pausesMs[poorTries]
    if (again === null || pauseMs === undefined || isFinal(broken)) throw missing(imageId, broken.error)
    await clock.sleep(pauseMs, signal)
    const had = taken.bytes
    broken = await again(had).then(
      (opened) => takeOne(opened, taken, idleMs),
      (error: unknown) => ({ error }),
    )
    poorTries = taken.bytes - had >= progressBytes ? 0 : poorTries + 1
  }
}

interface Broken {
  error: unknown
}

/** The store itself says that there is nothing to come. */
function isFinal({ error }: Broken): boolean {
  return error instanceof Fault && error.kind !== "unavailable"
}

/** Null at the end of the data, else why it broke before. What fails here and not there is thrown. */
async function takeOne(
  { stream, sizeBytes }: ImageStream,
  taken: Taken,
  idleMs: number,
): Promise<Broken | null> {
  const end = await takeUntilEnd(stream, taken, idleMs)
  // All there is to come has come, however it ended.
  if (sizeBytes !== null && taken.bytes >= sizeBytes) return null
  if (end !== null || sizeBytes === null) return end
  return { error: new Error(`it ended after ${taken.bytes} of ${sizeBytes} bytes`) }
}

async function takeUntilEnd(stream: Readable, taken: Taken, idleMs: number): Promise<Broken | null> {
  const chunks: AsyncIterator<Buffer> = stream[Symbol.asyncIterator]()
  try {
    for (;;) {
      let next: IteratorResult<Buffer>
      // Only the stream is timed: a slow disk is not its fault.
      const idle = setTimeout(() => stream.destroy(new Error(`it brought nothing for ${idleMs} ms`)), idleMs)
      try {
        next = await chunks.next()
      } catch (error) {
        return { error }
      } finally {
        clearTimeout(idle)
      }
      if (next.done) return null
      await taken.add(next.value)
    }
  } finally {
    stream.destroy()
  }
}

function missing(imageId: string, cause: unknown): Fault {
  return Object.assign(agentImageMissing(imageId), { cause })
}
