// Where fake volumes are kept: those of one host in one file of it, those that several hosts reach in a directory with
// a file each, as the hosts are processes of their own.
import { mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { newUuid } from "../../platform/ids/ids.ts"
import { readStateFile } from "../state-file.ts"

export interface FakeVolume {
  sizeBytes: number
  /** What it begins with; zeros follow. */
  words: string
}

export interface FakeVolumeStore {
  get(key: string): FakeVolume | undefined
  set(key: string, volume: FakeVolume): void
  /** False: it was not there. */
  delete(key: string): boolean
  entries(): [key: string, volume: FakeVolume][]
}

export class OneFileStore implements FakeVolumeStore {
  readonly #file: string
  readonly #volumes: Map<string, FakeVolume>

  constructor(file: string) {
    this.#file = file
    // Written by `#keep`.
    const kept = readStateFile(file) as Record<string, FakeVolume> | undefined
    this.#volumes = new Map(Object.entries(kept ?? {}))
  }

  get(key: string): FakeVolume | undefined {
    return this.#volumes.get(key)
  }

  set(key: string, volume: FakeVolume): void {
    this.#volumes.set(key, volume)
    this.#keep()
  }

  delete(key: string): boolean {
    const was = this.#volumes.delete(key)
    if (was) this.#keep()
    return was
  }

  entries(): [string, FakeVolume][] {
    return [...this.#volumes]
  }

  /** At once, so that what is written last is what was changed last. */
  #keep(): void {
    write(this.#file, Object.fromEntries(this.#volumes))
  }
}

/** Read anew each time: another host may have changed it. The cloud sees to it that no two change one. */
export class DirectoryStore implements FakeVolumeStore {
  readonly #directory: string

  constructor(directory: string) {
    this.#directory = directory
  }

  get(key: string): FakeVolume | undefined {
    // Written by `set`.
    return readStateFile(this.#path(key)) as FakeVolume | undefined
  }

  set(key: string, volume: FakeVolume): void {
    write(this.#path(key), volume)
  }

  delete(key: string): boolean {
    const was = this.get(key) !== undefined
    rmSync(this.#path(key), { force: true })
    return was
  }

  entries(): [string, FakeVolume][] {
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 })
    return readdirSync(this.#directory).flatMap((name) => {
      if (!name.endsWith(ending)) return []
      const key = decodeURIComponent(name.slice(0, -ending.length))
      const volume = this.get(key)
      return volume ? [[key, volume] as [string, FakeVolume]] : []
    })
  }

  #path(key: string): string {
    return join(this.#directory, `${encodeURIComponent(key)}${ending}`)
  }
}

const ending = ".volume"

function write(path: string, value: unknown): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  const temporary = `${path}.${newUuid()}.tmp`
  writeFileSync(temporary, JSON.stringify(value), { mode: 0o600 })
  renameSync(temporary, path)
}
