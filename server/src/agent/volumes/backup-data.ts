// A file of this host to and from the store of backups, by chunks: memory for a few of them, whatever the size. Only
// those that are not zeros travel, and of an incremental backup only those that the last one has not.
import { type FileHandle, open } from "node:fs/promises"
import { setTimeout as delay } from "node:timers/promises"
import { type Static, Type } from "typebox"
import { Fault, invalid } from "../../platform/fault/fault.ts"
import { fits } from "../../platform/schema/compiled.ts"
import { agentBackupDamaged, agentBackupTooLarge } from "../faults.ts"
import { qemuImg } from "../qemu-img.ts"
import { type BackupAccess, type BackupStore, digestBytes, partChunks } from "./backup-store.ts"

/** On their way at a time: the store writes one while another comes. */
const atOnce = 3
const chunkBytesMost = 64 * 1024 ** 2

interface Job {
  store: BackupStore
  /** Before each further try of a call that the store could not answer; then it is given up. */
  pausesMs?: readonly number[]
  access: BackupAccess
  chunkBytes: number
  sizeBytes: number
  file: FileHandle
  signal: AbortSignal
}

/** Nothing writes to the file meanwhile. `tell` hears how far it is, in tenths, each once at the most. */
export async function sendFile(
  path: string,
  to: Pick<Job, "store" | "access" | "chunkBytes" | "signal" | "pausesMs"> & {
    tell?: (percent: number) => void
  },
): Promise<void> {
  const { access, chunkBytes, signal } = to
  checkChunkBytes(chunkBytes)
  const store = patient(to)
  await using file = await open(path, "r")
  const facts = await file.stat()
  const sizeBytes = facts.size
  const hasData = await findData(path, facts, chunkBytes, signal)
  const job = { ...to, sizeBytes, file, hasData }
  let toldTenths = 0
  const tellOf = (chunk: number) => {
    const tenths = Math.floor((10 * Math.min(sizeBytes, (chunk + 1) * chunkBytes)) / sizeBytes)
    if (tenths <= toldTenths) return
    toldTenths = tenths
    to.tell?.(tenths * 10)
  }
  for (let part = 0; part * partChunks * chunkBytes < sizeBytes; part++) {
    const wanted = await store.offer(access, part, await digestsOf(job, part), { signal })
    await eachOf(wanted, async (chunk) => {
      const data = await readChunk(job, chunk, Buffer.alloc(chunkBytes))
      await store.put(access, chunk, data, { signal })
      tellOf(chunk)
    })
  }
  await store.finish(access, { sizeBytes, chunkBytes }, { signal })
}

/** Into a file that is there, where all is zeros still. Before anything is written it is known to be no larger than it may. */
export async function fetchFile(
  path: string,
  from: Pick<Job, "store" | "access" | "signal" | "pausesMs"> & { bytesMost: number },
): Promise<void> {
  const { access, bytesMost, signal } = from
  const store = patient(from)
  const { chunkBytes, sizeBytes } = await store.open(access, { signal })
  if (sizeBytes > bytesMost) throw agentBackupTooLarge(sizeBytes, bytesMost)
  checkChunkBytes(chunkBytes)
  await using file = await open(path, "r+")
  // Holes for what is zeros.
  await file.truncate(sizeBytes)
  for (let part = 0; part * partChunks * chunkBytes < sizeBytes; part++) {
    const digests = await store.digests(access, part, { signal })
    const there = Array.from({ length: digests.length / digestBytes }, (_, n) => n)
    const nonZero = there.filter((n) => !digestAt(digests, n).equals(noDigest))
    await eachOf(nonZero, async (n) => {
      const chunk = part * partChunks + n
      const data = await store.get(access, chunk, { signal })
      const isRight = data.length === lengthOf({ chunkBytes, sizeBytes }, chunk)
      if (!isRight || !(await sha256(data)).equals(digestAt(digests, n))) throw agentBackupDamaged(chunk)
      await file.write(data, 0, data.length, chunk * chunkBytes)
    })
  }
  await file.sync()
}

const noDigest = Buffer.alloc(digestBytes)

function digestAt(digests: Buffer, n: number): Buffer {
  return digests.subarray(n * digestBytes, (n + 1) * digestBytes)
}

function lengthOf({ chunkBytes, sizeBytes }: Pick<Job, "chunkBytes" | "sizeBytes">, chunk: number): number {
  return Math.min(chunkBytes, sizeBytes - chunk * chunkBytes)
}

async function digestsOf(job: Job & { hasData: (chunk: number) => boolean }, part: number): Promise<Buffer> {
  const { chunkBytes, hasData, signal, sizeBytes } = job
  const count = Math.min(partChunks, Math.ceil(sizeBytes / chunkBytes) - part * partChunks)
  const digests = Buffer.alloc(count * digestBytes)
  const room = Buffer.alloc(chunkBytes)
  const zeros = Buffer.alloc(chunkBytes)
  for (let n = 0; n < count; n++) {
    signal.throwIfAborted()
    if (!hasData(part * partChunks + n)) continue
    const data = await readChunk(job, part * partChunks + n, room)
    if (data.compare(zeros, 0, data.length) !== 0) digests.set(await sha256(data), n * digestBytes)
  }
  return digests
}

async function readChunk(
  job: Pick<Job, "file" | "chunkBytes" | "sizeBytes">,
  chunk: number,
  room: Buffer<ArrayBuffer>,
): Promise<Buffer<ArrayBuffer>> {
  const length = lengthOf(job, chunk)
  for (let at = 0; at < length; ) {
    const { bytesRead } = await job.file.read(room, at, length - at, chunk * job.chunkBytes + at)
    if (bytesRead === 0) throw new Error("the file of a backup became shorter while it was read")
    at += bytesRead
  }
  return room.subarray(0, length)
}

async function sha256(data: Uint8Array): Promise<Buffer> {
  // Beside the program's own thread.
  return Buffer.from(await crypto.subtle.digest("SHA-256", data as Uint8Array<ArrayBuffer>))
}

const Extents = Type.Array(
  Type.Object({ start: Type.Number(), length: Type.Number(), data: Type.Boolean(), zero: Type.Boolean() }),
)

/** Holes that are smaller are read as fast as they are looked for. */
const holesWorthBytes = 256 * 1024 ** 2

/** Which chunks may be other than zeros. Reading a terabyte of holes takes minutes, to ask for them a moment. */
async function findData(
  path: string,
  { blocks, size }: { blocks: number; size: number },
  chunkBytes: number,
  signal: AbortSignal,
): Promise<(chunk: number) => boolean> {
  const all = () => true
  if (size - blocks * 512 < holesWorthBytes) return all
  let extents: unknown
  try {
    const args = ["map", "-U", "-f", "raw", "--output=json", path]
    extents = JSON.parse((await qemuImg(args, { timeoutMs: mapTimeoutMs, signal })).stdout)
  } catch {
    // Without the program, or in too many pieces: then all is read.
    return all
  }
  if (!fits(Extents, extents)) return all
  const chunks = new Uint8Array(Math.ceil(size / chunkBytes))
  // The schema has just said so.
  for (const { start, length, data, zero } of extents as Static<typeof Extents>) {
    if (data && !zero)
      chunks.fill(1, Math.floor(start / chunkBytes), Math.ceil((start + length) / chunkBytes))
  }
  return (chunk) => chunks[chunk] === 1
}

const mapTimeoutMs = 300_000
const defaultPausesMs = [500, 2_000, 8_000, 30_000]

/** A connection that breaks once must not cost the hours that a large volume took until then. */
function patient({
  store,
  signal,
  pausesMs = defaultPausesMs,
}: Pick<Job, "store" | "signal" | "pausesMs">): BackupStore {
  const again = async <T>(call: () => Promise<T>): Promise<T> => {
    for (let tries = 0; ; tries++) {
      try {
        return await call()
      } catch (error) {
        const pauseMs = pausesMs[tries]
        if (pauseMs === undefined || !(error instanceof Fault && error.kind === "unavailable")) throw error
        await delay(pauseMs, undefined, { signal })
      }
    }
  }
  return {
    offer: (...asked) => again(() => store.offer(...asked)),
    put: (...asked) => again(() => store.put(...asked)),
    finish: (...asked) => again(() => store.finish(...asked)),
    open: (...asked) => again(() => store.open(...asked)),
    digests: (...asked) => again(() => store.digests(...asked)),
    get: (...asked) => again(() => store.get(...asked)),
  }
}

/** The first failure ends all: none is begun after it, and none runs when this returns. */
async function eachOf(chunks: readonly number[], work: (chunk: number) => Promise<void>): Promise<void> {
  const left = chunks.values()
  let failed = false
  const lane = async () => {
    for (const chunk of left) {
      if (failed) return
      try {
        await work(chunk)
      } catch (error) {
        failed = true
        throw error
      }
    }
  }
  const lanes = await Promise.allSettled(Array.from({ length: atOnce }, lane))
  for (const each of lanes) if (each.status === "rejected") throw each.reason
}

function checkChunkBytes(chunkBytes: number): void {
  if (Number.isSafeInteger(chunkBytes) && chunkBytes >= 512 && chunkBytes <= chunkBytesMost) return
  throw invalid("chunkBytes", `A chunk has 512 to ${chunkBytesMost} bytes.`)
}
