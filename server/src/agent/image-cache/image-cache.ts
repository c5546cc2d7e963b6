// Images on this host, by the checksum of their data. A disk of a machine is an overlay over an entry, so an entry
// never changes, and goes only when no machine uses it. An entry is there when its .json is: data come first.
import { createReadStream, mkdirSync, readdirSync, rmSync } from "node:fs"
import { copyFile, constants as fs, link, rename, rm, stat } from "node:fs/promises"
import { join } from "node:path"
import type { Clock } from "../../platform/clock/clock.ts"
import type { Logger } from "../../platform/log/log.ts"
import { agentCacheFull, agentImageChecksumWrong, agentImageMissing } from "../faults.ts"
import type { LocalImage } from "../hypervisor/hypervisor.ts"
import { convertImage } from "../qemu-img.ts"
import { readStateFile, writeStateFile } from "../state-file.ts"
import type { ImageStore, OpenedImage } from "./image-store.ts"
import { inspectImage } from "./inspect-image.ts"
import { checkFile, type ImageStream, type Incoming, receiveImage } from "./receive.ts"

export interface ImageRequest {
  imageId: string
  /** What the store is shown; undefined where nobody gave one, which is enough for what is here already. */
  ticket?: string | undefined
  /** md5, sha256 or sha512 of the data, in hex; told apart by its length. */
  checksum: string
  diskFormat: string
}

export interface ImageCache {
  /** The image as a local file. */
  ensureImage(request: ImageRequest, inUse: ImagesInUse): Promise<LocalImage>
  /** Removes unused entries, the longest unused first, until the cache is within its limit. */
  prune(inUse: ImagesInUse): Promise<Pruned>
  /** The longest unused first. */
  list(): CachedImage[]
  /** Removes the entry, if there is one that nobody uses. */
  remove(request: Pick<ImageRequest, "checksum" | "diskFormat">, inUse: ImagesInUse): Promise<CacheRemoval>
}

export interface Pruned {
  /** So many images. */
  removed: number
  removedBytes: number
}

export interface CachedImage {
  checksum: string
  diskFormat: string
  /** What it takes on the disk. */
  sizeBytes: number
  /** How often it was asked for and was here. */
  hits: number
  cachedAt: string
  usedAt: string
}

export type CacheRemoval = "removed" | "absent" | "in_use"

/** The keys that must stay when room is needed. Asked for then: an image takes long to come, and others begin meanwhile. */
export type ImagesInUse = () => ReadonlySet<string>

/** The name of an image's entry. The format is part of it: the same bytes mean something else in another. */
export function imageKey(request: Pick<ImageRequest, "checksum" | "diskFormat">): string {
  return `${request.checksum}-${request.diskFormat}`
}

interface Entry extends LocalImage {
  key: string
  sizeBytes: number
  usedAt: string
  /** These two are left out by a program that did not count. */
  hits?: number
  cachedAt?: string
}

const convertTimeoutMs = 3_600_000
/** Last use and hits are written down at most this often: they order the removal and are told, and no more. */
const usedAtGrainMs = 60_000

/** Half a minute without a byte, in all. */
const defaultPausesMs = [500, 2_000, 5_000, 10_000, 15_000]
const defaultIdleMs = 60_000

export function createImageCache(options: {
  dir: string
  source: Pick<ImageStore, "open">
  limitBytes: number
  clock: Clock
  log: Logger
  /** Ends what is being fetched. */
  signal?: AbortSignal
  /** Before each further try to go on with data that broke off. */
  pausesMs?: readonly number[]
  /** How long data may stay away before they count as broken off. */
  idleMs?: number
}): ImageCache {
  return new DirectoryImageCache(options)
}

class DirectoryImageCache implements ImageCache {
  readonly #options: Parameters<typeof createImageCache>[0]
  readonly #entries = new Map<string, Entry>()
  readonly #underway = new Map<string, Promise<LocalImage>>()
  /** When the use of an entry was last written down. */
  readonly #usesWrittenMs = new Map<string, number>()
  #sequence = 0

  constructor(options: Parameters<typeof createImageCache>[0]) {
    this.#options = options
    mkdirSync(options.dir, { recursive: true, mode: 0o711 })
    this.#load()
  }

  async ensureImage(request: ImageRequest, inUse: ImagesInUse): Promise<LocalImage> {
    const key = imageKey(request)
    if (!/^[0-9a-f]{32,128}-[a-z0-9]+$/.test(key)) throw agentImageChecksumWrong(request.imageId)
    const entry = this.#entries.get(key)
    if (entry) {
      await this.#touch(entry)
      return localImage(entry)
    }
    let running = this.#underway.get(key)
    if (!running) {
      running = this.#fetch(key, request, inUse).finally(() => this.#underway.delete(key))
      this.#underway.set(key, running)
    }
    return await running
  }

  async prune(inUse: ImagesInUse): Promise<Pruned> {
    return await this.#makeRoom(0, inUse)
  }

  list(): CachedImage[] {
    return this.#byAge().map(({ key, sizeBytes, usedAt, hits = 0, cachedAt = usedAt }) => {
      const at = key.lastIndexOf("-")
      const [checksum, diskFormat] = [key.slice(0, at), key.slice(at + 1)]
      return { checksum, diskFormat, sizeBytes, hits, cachedAt, usedAt }
    })
  }

  async remove(
    request: Pick<ImageRequest, "checksum" | "diskFormat">,
    inUse: ImagesInUse,
  ): Promise<CacheRemoval> {
    const entry = this.#entries.get(imageKey(request))
    if (!entry) return "absent"
    if (inUse().has(entry.key)) return "in_use"
    await this.#drop(entry)
    return "removed"
  }

  async #fetch(key: string, request: ImageRequest, inUse: ImagesInUse): Promise<LocalImage> {
    const temporary = join(this.#options.dir, `${key}.${++this.#sequence}.tmp`)
    const converted = `${temporary}.qcow2.tmp`
    try {
      await this.#obtain(request, temporary)
      const image = await inspectImage(request.imageId, temporary, request.diskFormat)
      const isNative = image.driver === "raw" || image.driver === "qcow2"
      const format = image.driver === "raw" ? "raw" : "qcow2"
      if (!isNative) {
        const from = { path: temporary, format: image.driver }
        await convertImage(from, converted, { options: ["-O", "qcow2"], timeoutMs: convertTimeoutMs })
      }
      const ready = isNative ? temporary : converted
      const sizeBytes = await usedBytes(ready)
      await this.#makeRoom(sizeBytes, inUse)
      const total = this.#totalBytes() + sizeBytes
      if (total > this.#options.limitBytes) throw agentCacheFull(sizeBytes, this.#options.limitBytes)
      const path = join(this.#options.dir, `${key}.${format}`)
      await rename(ready, path)
      const cachedAt = this.#options.clock.now().toISOString()
      const { virtualSizeBytes } = image
      const times = { cachedAt, usedAt: cachedAt, hits: 0 }
      const entry: Entry = { key, path, format, virtualSizeBytes, sizeBytes, ...times }
      await writeStateFile(this.#statePath(key), entry)
      this.#entries.set(key, entry)
      return localImage(entry)
    } finally {
      await rm(temporary, { force: true })
      await rm(converted, { force: true })
    }
  }

  async #obtain(request: ImageRequest, to: string): Promise<void> {
    const { imageId } = request
    let opened: OpenedImage
    try {
      opened = await this.#open(request, 0)
    } catch (error) {
      throw Object.assign(agentImageMissing(imageId), { cause: error })
    }
    if ("stream" in opened) {
      return await this.#receive(request, to, opened, async (offset) =>
        asStream(await this.#open(request, offset), offset),
      )
    }
    if (!(await this.#share(imageId, opened.path, to)))
      return await this.#receive(request, to, asStream(opened, 0), null)
    // All who name the checksum later get this file, whatever image they mean.
    const isKnown = opened.checksum === request.checksum
    if (!isKnown) await checkFile(imageId, to, request.checksum, this.#options.signal)
  }

  /** Without a copy of the data, where the file system can do that. */
  async #share(imageId: string, from: string, to: string): Promise<boolean> {
    try {
      await link(from, to)
      return true
    } catch (error) {
      if (isCode(error, "ENOENT")) throw Object.assign(agentImageMissing(imageId), { cause: error })
      // Another file system, or links are not allowed: a copy then.
    }
    return await reflink(from, to)
  }

  async #open({ imageId, ticket = "" }: ImageRequest, offset: number): Promise<OpenedImage> {
    const { signal, source } = this.#options
    return await source.open(imageId, ticket, { offset, ...(signal ? { signal } : {}) })
  }

  async #receive(
    { imageId, checksum }: ImageRequest,
    to: string,
    first: ImageStream,
    again: Incoming["again"],
  ): Promise<void> {
    const { clock, limitBytes, signal } = this.#options
    const { idleMs = defaultIdleMs, pausesMs = defaultPausesMs } = this.#options
    const incoming = { imageId, checksum, to, limitBytes, first, again }
    await receiveImage(incoming, { clock, signal, pausesMs, idleMs })
  }

  async #touch(entry: Entry): Promise<void> {
    const now = this.#options.clock.now()
    entry.hits = (entry.hits ?? 0) + 1
    entry.usedAt = now.toISOString()
    const writtenMs = this.#usesWrittenMs.get(entry.key) ?? Number.NEGATIVE_INFINITY
    if (now.getTime() - writtenMs < usedAtGrainMs) return
    this.#usesWrittenMs.set(entry.key, now.getTime())
    await writeStateFile(this.#statePath(entry.key), entry)
  }

  async #makeRoom(forBytes: number, inUse: ImagesInUse): Promise<Pruned> {
    let [removed, removedBytes] = [0, 0]
    for (const entry of this.#byAge()) {
      if (this.#totalBytes() + forBytes <= this.#options.limitBytes) break
      if (inUse().has(entry.key)) continue
      await this.#drop(entry)
      removed++
      removedBytes += entry.sizeBytes
    }
    return { removed, removedBytes }
  }

  async #drop({ key, path, sizeBytes }: Entry): Promise<void> {
    this.#entries.delete(key)
    this.#usesWrittenMs.delete(key)
    // The .json first: without it the data are a leftover.
    await rm(this.#statePath(key), { force: true })
    await rm(path, { force: true })
    this.#options.log.info({ image: key, sizeBytes }, "image removed from the cache")
  }

  #byAge(): Entry[] {
    return [...this.#entries.values()].sort((a, b) => a.usedAt.localeCompare(b.usedAt))
  }

  #totalBytes(): number {
    let total = 0
    for (const entry of this.#entries.values()) total += entry.sizeBytes
    return total
  }

  #statePath(key: string): string {
    return join(this.#options.dir, `${key}.json`)
  }

  #load(): void {
    const names = new Set(readdirSync(this.#options.dir))
    const kept = new Set<string>()
    for (const name of names) {
      if (!name.endsWith(".json")) continue
      const entry = readStateFile(join(this.#options.dir, name)) as Entry
      const file = `${entry.key}.${entry.format}`
      if (!names.has(file)) continue
      // The data directory may have been moved since.
      this.#entries.set(entry.key, { ...entry, path: join(this.#options.dir, file) })
      kept.add(name).add(file)
    }
    for (const name of names) if (!kept.has(name)) rmSync(join(this.#options.dir, name), { force: true })
  }
}

function asStream(opened: OpenedImage, offset: number): ImageStream {
  if ("stream" in opened) return opened
  return { stream: createReadStream(opened.path, { start: offset }), sizeBytes: null }
}

function localImage(entry: Entry): LocalImage {
  return { path: entry.path, format: entry.format, virtualSizeBytes: entry.virtualSizeBytes }
}

/** Bytes on the disk: a sparse image takes less than it is long. */
async function usedBytes(path: string): Promise<number> {
  const { blocks } = await stat(path)
  return blocks * 512
}

/** A copy that shares its blocks, where the file system can do that. */
async function reflink(from: string, to: string): Promise<boolean> {
  try {
    await copyFile(from, to, fs.COPYFILE_FICLONE_FORCE)
    return true
  } catch {
    await rm(to, { force: true })
    return false
  }
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code
}
