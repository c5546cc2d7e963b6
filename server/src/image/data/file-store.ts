import { createReadStream } from "node:fs"
import { link, mkdir, open, rename, rm, statfs } from "node:fs/promises"
import { dirname } from "node:path"
import type { Platform } from "../../platform/context/context.ts"
import { isDiskFull } from "../../platform/exec/disk-full.ts"
import { openStreamHash } from "../../platform/hash/stream-hash.ts"
import { dataTooLarge, storeFull } from "../faults.ts"
import { storePaths } from "./paths.ts"

export interface WrittenData {
  sizeBytes: number
  checksum: string
  osHashAlgo: "sha512"
  osHashValue: string
}

/** Size and sums of bytes as they pass. */
class Digests implements Disposable {
  readonly #hash = openStreamHash(["md5", "sha512"])
  sizeBytes = 0

  async update(chunk: Uint8Array): Promise<void> {
    this.sizeBytes += chunk.byteLength
    await this.#hash.update(chunk)
  }

  async done(): Promise<WrittenData> {
    const [checksum = "", osHashValue = ""] = await this.#hash.digests()
    return { sizeBytes: this.sizeBytes, checksum, osHashAlgo: "sha512", osHashValue }
  }

  [Symbol.dispose](): void {
    this.#hash[Symbol.dispose]()
  }
}

export async function ensureDirectories(platform: Pick<Platform, "config">): Promise<void> {
  const { store, tmp, staging } = storePaths(platform)
  for (const dir of [store, tmp, staging]) await mkdir(dir, { recursive: true, mode: 0o700 })
}

export interface WriteOptions {
  /** Bytes at the most; more is a fault. */
  limitBytes: number
  /** Bytes that must stay free on the disk. */
  reserveBytes: number
  /** Called as it moves, with the bytes so far; throw to give up. */
  onProgress?: (sizeBytes: number) => Promise<void> | void
}

/** Writes all that comes into a new file, hashing on the way; the data are on the disk when it returns. */
export async function writeData(
  path: string,
  source: AsyncIterable<Uint8Array>,
  options: WriteOptions,
): Promise<WrittenData> {
  using digests = new Digests()
  let checkedBytes = Number.NEGATIVE_INFINITY
  const file = await open(path, "wx", 0o600)
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
  } catch (error) {
    await file.close()
    await rm(path, { force: true })
    throw isDiskFull(error) ? storeFull() : error
  }
  await file.close()
  return await digests.done()
}

/** Room is looked at each time that so much was written. */
const roomCheckBytes = 16 * 1024 ** 2

async function checkRoom(path: string, reserveBytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(dirname(path))
  if (bavail * bsize - roomCheckBytes < reserveBytes) throw storeFull()
}

export async function hashFile(path: string): Promise<WrittenData> {
  using digests = new Digests()
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
