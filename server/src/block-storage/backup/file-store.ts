// Objects as files of a directory, which may be another machine's that is mounted here:
//
//   <container>/<name>          the object; a name's `/` make directories
//   <container>/…/*.tmp         on its way, or left by a crash: no object
//   lost+found/<n>.<prefix>     set aside; no container's name has a `+` or a `.` here
//   store.mark                  what is noted of the store
import { createHash } from "node:crypto"
import { mkdir, open, readdir, readFile, rename, rm, stat, statfs } from "node:fs/promises"
import { dirname, join } from "node:path"
import { isDiskFull } from "../../platform/exec/disk-full.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { backupStoreAway, backupStoreFull } from "../faults.ts"
import type { ObjectStore, StoredPrefix } from "./object-store.ts"

export interface FileStoreOptions {
  directory: string
  /** Bytes that stay free there. */
  reservedBytes: number
}

export class FileObjectStore implements ObjectStore {
  readonly kind = "file"
  readonly #options: FileStoreOptions

  constructor(options: FileStoreOptions) {
    this.#options = options
  }

  async put(container: string, name: string, data: Uint8Array): Promise<void> {
    const path = this.#path(container, name)
    const temporary = `${path}.${newUuid()}.tmp`
    try {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 })
      await this.#checkRoom(dirname(path), data.byteLength)
      await writeSynced(temporary, data)
      await rename(temporary, path)
      await syncDirectory(dirname(path))
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => {})
      throw isDiskFull(error) ? Object.assign(backupStoreFull(), { cause: error }) : asAway(error)
    }
  }

  async get(container: string, name: string): Promise<Buffer | null> {
    try {
      return await readFile(this.#path(container, name))
    } catch (error) {
      if (isMissing(error)) return null
      throw asAway(error)
    }
  }

  async *list(container: string, prefix: string): AsyncIterable<string> {
    const below = [prefix]
    for (let name = below.pop(); name !== undefined; name = below.pop()) {
      const entries = await readdir(this.#path(container, name), { withFileTypes: true }).catch(ifMissing)
      for (const entry of entries ?? []) {
        const inner = `${name}/${entry.name}`
        if (entry.isDirectory()) below.push(inner)
        else if (!entry.name.endsWith(".tmp")) yield inner
      }
    }
  }

  async deleteAll(container: string, prefix: string): Promise<void> {
    try {
      // Whoever still writes there is told that it is over by the rows; it may put one more file here meanwhile.
      await rm(this.#path(container, prefix), {
        recursive: true,
        force: true,
        maxRetries: 5,
        retryDelay: 100,
      })
    } catch (error) {
      throw asAway(error)
    }
  }

  async setAside(container: string, prefix: string): Promise<void> {
    const lost = join(this.#options.directory, lostAndFound)
    try {
      await mkdir(lost, { recursive: true, mode: 0o700 })
      await rename(this.#path(container, prefix), join(lost, `${newUuid()}.${prefix}`))
      await syncDirectory(lost)
    } catch (error) {
      if (!isMissing(error)) throw asAway(error)
    }
  }

  async *prefixes(): AsyncIterable<StoredPrefix> {
    for (const container of await this.#directories("")) {
      if (container === lostAndFound) continue
      for (const prefix of await this.#directories(container)) yield this.#stored(container, prefix, prefix)
    }
  }

  async *asides(): AsyncIterable<StoredPrefix> {
    for (const entry of await this.#directories(lostAndFound))
      yield this.#stored(lostAndFound, entry, entry.slice(entry.indexOf(".") + 1))
  }

  async discard({ key }: StoredPrefix): Promise<boolean> {
    const path = join(this.#options.directory, key)
    if (!(await stat(path).catch(ifMissing))) return false
    await rm(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
    return true
  }

  async mark(): Promise<string | null> {
    return await readFile(this.#markFile, "utf8").catch(ifMissing)
  }

  async setMark(text: string): Promise<void> {
    await mkdir(this.#options.directory, { recursive: true, mode: 0o700 })
    const temporary = `${this.#markFile}.${newUuid()}.tmp`
    await writeSynced(temporary, Buffer.from(text))
    await rename(temporary, this.#markFile)
  }

  get #markFile(): string {
    return join(this.#options.directory, "store.mark")
  }

  async #directories(below: string): Promise<string[]> {
    const path = join(this.#options.directory, below)
    const entries = (await readdir(path, { withFileTypes: true }).catch(ifMissing)) ?? []
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name)
  }

  #stored(container: string, entry: string, prefix: string): StoredPrefix {
    const path = join(this.#options.directory, container, entry)
    return {
      key: `${container}/${entry}`,
      prefix,
      sizeBytes: async () => {
        let sum = 0
        for (const each of await readdir(path, { recursive: true, withFileTypes: true }))
          if (each.isFile()) sum += (await stat(join(each.parentPath, each.name)).catch(ifMissing))?.size ?? 0
        return sum
      },
      get: async (name) => await readFile(join(path, name)).catch(ifMissing),
    }
  }

  #path(container: string, name: string): string {
    if (!/^[0-9a-z_-]+(\/[0-9a-z_.-]+)*$/.test(name) || name.includes(".."))
      throw new Error(`not the name of an object: ${name}`)
    return join(this.#options.directory, segmentOf(container), name)
  }

  async #checkRoom(directory: string, bytes: number): Promise<void> {
    const { bavail, bsize } = await statfs(directory)
    if (bavail * bsize - bytes < this.#options.reservedBytes) throw backupStoreFull()
  }
}

const lostAndFound = "lost+found"
const segmentMost = 200

/** A container's name is a project's text: here it is one name of a directory, whatever is in it. */
function segmentOf(container: string): string {
  const encoded = encodeURIComponent(container.toWellFormed()).replaceAll(".", "%2E")
  if (encoded.length <= segmentMost) return encoded
  return `%${createHash("sha256").update(container).digest("hex")}`
}

/** Below the store's directory. */
export function placeOfData({ id, container }: { id: string; container: string }): string {
  return join(segmentOf(container), id)
}

async function writeSynced(path: string, data: Uint8Array): Promise<void> {
  await using file = await open(path, "wx", 0o600)
  await file.writeFile(data)
  await file.sync()
}

async function syncDirectory(path: string): Promise<void> {
  await using directory = await open(path, "r")
  await directory.sync()
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT"
}

function ifMissing(error: unknown): null {
  if (isMissing(error)) return null
  throw asAway(error)
}

/** What a mount answers whose other end is gone, or a disk that fails: it may be well again later. */
const away = new Set(["EIO", "ESTALE", "ETIMEDOUT", "EHOSTDOWN", "EACCES", "EROFS", "ENOTCONN", "EPERM"])

function asAway(error: unknown): unknown {
  if (!(error instanceof Error && "code" in error && away.has(String(error.code)))) return error
  return Object.assign(backupStoreAway(), { cause: error })
}
