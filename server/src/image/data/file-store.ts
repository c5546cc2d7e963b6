import { createReadStream } from "node:fs"
import { link, mkdir, open, rename, rm, statfs } from "node:fs/promises"
import { dirname, join } from "node:path"
import type { Platform } from "../../platform/context/context.ts"
import { isDiskFull } from "../../platform/exec/disk-full.ts"
import { describeError } from "../../platform/fault/fault.ts"
import { openStreamHash, type StreamHash, type StreamSignature } from "../../platform/hash/stream-hash.ts"
import { dataTooLarge, signatureRefused, storeFull } from "../faults.ts"
import type { OsHashAlgorithm } from "../location/check.ts"
import { storePaths } from "./paths.ts"
import { fileStores, mainStoreId } from "./stores.ts"

export interface WrittenData {
  sizeBytes: number
  checksum: string
  osHashAlgo: OsHashAlgorithm
  osHashValue: string
}

/** Size and sums of bytes as they pass, and whether they are those that were signed. */
class Digests implements Disposable {
  readonly #algorithm: OsHashAlgorithm
  readonly #hash: StreamHash
  sizeBytes = 0

  constructor(algorithm: OsHashAlgorithm = "sha512", signature: StreamSignature | null = null) {
    this.#algorithm = algorithm
    this.#hash = openStreamHash(["md5", algorithm, ...(signature ? [signature] : [])])
  }

  async update(chunk: Uint8Array): Promise<void> {
    this.sizeBytes += chunk.byteLength
    await this.#hash.update(chunk)
  }

  async done(): Promise<WrittenData> {
    const [checksum = "", osHashValue = "", verdict = "valid"] = await this.#hash.digests()
    if (verdict !== "valid")
      throw signatureRefused("it was not made over these data by this certificate's key")
    return { sizeBytes: this.sizeBytes, checksum, osHashAlgo: this.#algorithm, osHashValue }
  }

  [Symbol.dispose](): void {
    this.#hash[Symbol.dispose]()
  }
}

export async function ensureDirectories(platform: Pick<Platform, "config">, storeId: string): Promise<void> {
  const { store, tmp, staging } = storePaths(platform, storeId)
  for (const dir of [store, tmp, staging]) await mkdir(dir, { recursive: true, mode: 0o700 })
}

/** The file stores that work now: one whose disk is away must not stop what the others do. */
export async function workingStores(platform: Pick<Platform, "config" | "log">): Promise<string[]> {
  const working: string[] = []
  for (const { id } of fileStores(platform)) {
    try {
      await ensureDirectories(platform, id)
      working.push(id)
    } catch (error) {
      if (id === mainStoreId) throw error
      platform.log.error({ store: id, err: describeError(error) }, "an image store cannot be used")
    }
  }
  return working
}

/**
 * What may be there of a file that no row names, in these stores. A store that is away keeps it, and what comes back
 * with it is set aside later.
 */
export async function removeUnnamed(
  platform: Pick<Platform, "config" | "log">,
  storeIds: readonly string[],
  file: string,
): Promise<void> {
  for (const id of storeIds) {
    try {
      const { tmp, store } = storePaths(platform, id)
      for (const dir of [tmp, store]) await rm(join(dir, file), { force: true })
    } catch (error) {
      platform.log.warn({ store: id, file, err: describeError(error) }, "a file stays in an image store")
    }
  }
}

export interface WriteOptions {
  /** Bytes at the most; more is a fault. */
  limitBytes: number
  /** Bytes that must stay free on the disk. */
  reserveBytes: number
  /** Called as it moves, with the bytes so far; throw to give up. */
  onProgress?: (sizeBytes: number) => Promise<void> | void
  /** Of the sum beside md5; default sha512. */
  algorithm?: OsHashAlgorithm
  /** Data that it does not fit are refused. */
  signature?: StreamSignature | null
}

/** Writes all that comes into a new file, hashing on the way; the data are on the disk when it returns. */
export async function writeData(
  path: string,
  source: AsyncIterable<Uint8Array>,
  options: WriteOptions,
): Promise<WrittenData> {
  using digests = new Digests(options.algorithm, options.signature)
  let checkedBytes = Number.NEGATIVE_INFINITY
  const file = await open(path, "wx", 0o600)
  let written: WrittenData
  try {
    for await (const chunk of source) {
      await digests.update(chunk)
      if (digests.sizeBytes > options.limitBytes) throw dataTooLarge(options.limitBytes)
      if (digests.sizeBytes - checkedBytes > roomCheckBytes) {
        checkedBytes = digests.sizeBytes
        await checkRoom(path, options.reserveBytes)
      }
      await file.writeFile(chunk)
      await options.onProgress?.(digests.sizeBytes)
    }
    await file.sync()
    written = await digests.done()
  } catch (error) {
    await file.close()
    await rm(path, { force: true })
    throw isDiskFull(error) ? storeFull() : error
  }
  await file.close()
  return written
}

/** Room is looked at each time that so much was written. */
const roomCheckBytes = 16 * 1024 ** 2

export async function checkRoom(path: string, reserveBytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(dirname(path))
  if (bavail * bsize - roomCheckBytes < reserveBytes) throw storeFull()
}

export async function hashFile(path: string, signature?: StreamSignature | null): Promise<WrittenData> {
  using digests = new Digests(undefined, signature)
  const source: AsyncIterable<Uint8Array> = createReadStream(path, { highWaterMark: 1024 * 1024 })
  for await (const chunk of source) await digests.update(chunk)
  return await digests.done()
}

/** The file appears under its final name, whole and for good. */
export async function publishFile(from: string, to: string): Promise<void> {
  await rename(from, to)
  // A repeated step may find both names on one file already; then a rename does nothing.
  await rm(from, { force: true })
  await syncDirectory(dirname(to))
}

/** A second name for a file where the file system can, else false. */
export async function tryLink(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to)
    return true
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : ""
    if (["EXDEV", "EPERM", "EMLINK", "ENOTSUP", "EOPNOTSUPP", "EACCES"].includes(code)) return false
    throw error
  }
}

async function syncDirectory(dir: string): Promise<void> {
  const handle = await open(dir, "r")
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

export async function removeFile(path: string): Promise<void> {
  await rm(path, { force: true })
}
