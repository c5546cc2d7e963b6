// Volumes almost without data, for the fake hypervisor: their sizes in one file, and of each the few words that tests
// wrote to its beginning; what copies it copies them. It can be told to be slow, and to fail.
import { mkdirSync } from "node:fs"
import { readFile, rm, writeFile } from "node:fs/promises"
import { dirname } from "node:path"
import type { Clock } from "../../platform/clock/clock.ts"
import { ToldTime } from "../../platform/clock/told-time.ts"
import {
  agentDataNotFound,
  agentPropertyUnsupported,
  agentVolumeExists,
  agentVolumeNotFound,
  agentVolumeOpenFailed,
  agentVolumeTooSmall,
} from "../faults.ts"
import { emptyQcow2 } from "../hypervisor/fake/empty-qcow2.ts"
import type { LocalVolume } from "../hypervisor/hypervisor.ts"
import type { VolumeAbilities, VolumeFacts } from "../protocol.ts"
import { DirectoryStore, type FakeVolume, type FakeVolumeStore, OneFileStore } from "./fake-volume-store.ts"
import { shareIdOf } from "./share-id.ts"
import { checkUnmanagedName } from "./unmanaged-name.ts"
import type { TakeCopy, UnmanagedData, VolumeCapacity, VolumeDriver, VolumeOrigin } from "./volume-driver.ts"

export interface FakeVolumeOptions {
  /** Of the back end; default: `fake`. */
  name?: string
  /** What it remembers over a restart. */
  file: string
  /** Or what several hosts reach. */
  directory?: string
  clock: Clock
  /** What the pool claims to have. */
  totalBytes?: number
}

export interface FakeVolumeControl {
  /** Everything that changes a volume takes this long. */
  delayMs?: number
  /** So many of the next of these calls fail. */
  failNext?: number
}

const noData: Parameters<TakeCopy>[0] = {
  to: { kind: "nothing" },
  copyStill: async () => {},
  copyImage: async () => {},
}

/** Before the names of data that are no volume. */
const beside = "unmanaged/"

const defaultTotalBytes = 100 * 1024 ** 4
/** Nobody is to store a whole disk of zeros. */
const rawMost = 1024 ** 2
const wordsMost = 1_024

export class FakeVolumeDriver implements VolumeDriver {
  readonly name: string
  readonly abilities: VolumeAbilities
  readonly #options: FakeVolumeOptions
  readonly #volumes: FakeVolumeStore
  readonly #time: ToldTime
  #control: FakeVolumeControl = {}

  constructor(options: FakeVolumeOptions) {
    this.#options = options
    this.#time = new ToldTime(options.clock)
    this.name = options.name ?? "fake"
    const { directory, file } = options
    this.abilities = {
      ...{ thinProvisioning: true, onlineExtend: true, shared: directory !== undefined },
      ...{ consistentGroups: true, multiAttach: true },
      protocol: "fake",
    }
    this.#volumes = directory === undefined ? new OneFileStore(file) : new DirectoryStore(directory)
  }

  /** As if a guest had. */
  write(volumeId: string, words: string): void {
    if (Buffer.byteLength(words) > wordsMost) throw new Error(`a fake volume keeps ${wordsMost} bytes`)
    this.#volumes.set(volumeId, { ...this.#existing(volumeId), words })
  }

  read(volumeId: string): string {
    return this.#existing(volumeId).words
  }

  /** Changes how it behaves from now on, how long what is under way takes as well. */
  setControl(control: FakeVolumeControl): void {
    this.#control = { ...this.#control, ...control }
    this.#time.sayAnew()
  }

  /** How many calls take their time at this moment. */
  get underWay(): number {
    return this.#time.passing
  }

  async capacity(): Promise<VolumeCapacity> {
    const { directory, totalBytes = defaultTotalBytes } = this.#options
    const used = this.#volumes.entries().reduce((sum, [, { sizeBytes }]) => sum + sizeBytes, 0)
    const room = { totalBytes, freeBytes: Math.max(0, totalBytes - used) }
    return directory === undefined ? room : { ...room, share: `fake:${await shareIdOf(directory)}` }
  }

  async create(volumeId: string, sizeBytes: number, origin: VolumeOrigin | null): Promise<VolumeFacts> {
    await this.#step(volumeId)
    const known = this.#volumes.get(volumeId)
    if (known && known.sizeBytes !== sizeBytes) throw agentVolumeExists(volumeId, known.sizeBytes)
    if (!known) {
      const words = origin ? await this.#wordsOf(volumeId, sizeBytes, origin) : ""
      this.#volumes.set(volumeId, { sizeBytes, words })
    }
    return this.#factsOf(volumeId)
  }

  async revert(volumeId: string, origin: VolumeOrigin): Promise<VolumeFacts> {
    await this.#step(volumeId)
    const { sizeBytes } = this.#existing(volumeId)
    this.#volumes.set(volumeId, { sizeBytes, words: await this.#wordsOf(volumeId, sizeBytes, origin) })
    return this.#factsOf(volumeId)
  }

  /** A disk of its size that reads as zeros, but for the words in a raw one, which has the first of them only. */
  async copyOut(
    volumeId: string,
    { path, diskFormat, take }: { path: string; diskFormat: string; take: TakeCopy },
  ): Promise<void> {
    await this.#step(volumeId)
    const { sizeBytes, words } = this.#existing(volumeId)
    if (diskFormat !== "qcow2" && diskFormat !== "raw") {
      throw agentPropertyUnsupported("disk_format", diskFormat, "the fake back end has qcow2 and raw alone")
    }
    await take(noData)
    const data = diskFormat === "raw" ? Buffer.alloc(Math.min(sizeBytes, rawMost)) : emptyQcow2(sizeBytes)
    // A byte each, as words may also be none.
    if (diskFormat === "raw") data.write(words, "latin1")
    await writeFile(path, data, { mode: 0o600 })
  }

  async extend(volumeId: string, sizeBytes: number): Promise<VolumeFacts> {
    await this.#step(volumeId)
    const now = this.#existing(volumeId)
    if (now.sizeBytes < sizeBytes) this.#volumes.set(volumeId, { ...now, sizeBytes })
    return this.#factsOf(volumeId)
  }

  async delete(volumeId: string): Promise<void> {
    await this.#step(volumeId)
    this.#volumes.delete(volumeId)
  }

  async setAside(volumeId: string): Promise<void> {
    await this.delete(volumeId)
  }

  async inspect(volumeId: string): Promise<VolumeFacts | null> {
    return this.#volumes.get(volumeId) ? this.#factsOf(volumeId) : null
  }

  async list(): Promise<({ volumeId: string } & VolumeFacts)[]> {
    const volumes = this.#volumes
      .entries()
      .map(([key]) => key)
      .filter((key) => !key.startsWith(beside))
    return volumes.map((volumeId) => ({ volumeId, ...this.#factsOf(volumeId) }))
  }

  readonly unmanaged: UnmanagedData = {
    list: async () => {
      const data = this.#volumes.entries().filter(([key]) => key.startsWith(beside))
      return data.map(([key, { sizeBytes }]) => {
        return { name: key.slice(beside.length), sizeBytes, problem: null }
      })
    },
    take: async (volumeId, name, sizeBytes) => {
      await this.#step(volumeId)
      const known = this.#volumes.get(volumeId)
      if (known && known.sizeBytes !== sizeBytes) throw agentVolumeExists(volumeId, known.sizeBytes)
      if (known) return this.#factsOf(volumeId)
      const has = this.#volumes.get(beside + checkUnmanagedName(name))
      if (!has) throw agentDataNotFound(name)
      if (has.sizeBytes > sizeBytes) throw agentVolumeTooSmall(volumeId, sizeBytes, has.sizeBytes)
      this.#volumes.delete(beside + name)
      this.#volumes.set(volumeId, { ...has, sizeBytes })
      return this.#factsOf(volumeId)
    },
    leave: async (volumeId, name) => {
      await this.#step(volumeId)
      const has = this.#volumes.get(volumeId)
      if (!has) return
      let key = beside + checkUnmanagedName(name)
      for (let n = 2; this.#volumes.get(key); n++) key = `${beside}${name}.${n}`
      this.#volumes.delete(volumeId)
      this.#volumes.set(key, has)
    },
  }

  async open(volumeId: string): Promise<LocalVolume> {
    this.#existing(volumeId)
    return { kind: "nothing" }
  }

  async removeLeftovers(): Promise<void> {}

  /** What it begins with, that is made from this. */
  async #wordsOf(volumeId: string, sizeBytes: number, origin: VolumeOrigin): Promise<string> {
    if (origin.kind === "encrypted")
      return origin.image ? await this.#wordsOf(volumeId, sizeBytes, origin.image) : ""
    if (origin.kind === "file") return await this.#written(volumeId, origin.write)
    const [needsBytes, words] =
      origin.kind === "image"
        ? [(await origin.open()).virtualSizeBytes, ""]
        : [this.#existing(origin.volumeId).sizeBytes, this.#existing(origin.volumeId).words]
    if (sizeBytes < needsBytes) throw agentVolumeTooSmall(volumeId, sizeBytes, needsBytes)
    if (origin.kind === "volume") await origin.take(noData)
    return words
  }

  async #written(volumeId: string, write: (path: string) => Promise<void>): Promise<string> {
    const path = `${this.#options.file}.${volumeId}.tmp`
    try {
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
      await writeFile(path, "", { mode: 0o600 })
      await write(path)
      const [words = ""] = (await readFile(path)).subarray(0, wordsMost).toString("latin1").split("\0")
      return words
    } finally {
      await rm(path, { force: true })
    }
  }

  async #step(volumeId: string): Promise<void> {
    await this.#time.pass(() => this.#control.delayMs ?? 0)
    const { failNext = 0 } = this.#control
    if (failNext <= 0) return
    this.setControl({ failNext: failNext - 1 })
    throw agentVolumeOpenFailed(volumeId, "the fake back end was told to fail")
  }

  #existing(volumeId: string): FakeVolume {
    const volume = this.#volumes.get(volumeId)
    if (!volume) throw agentVolumeNotFound(volumeId)
    return volume
  }

  #factsOf(volumeId: string): VolumeFacts {
    return { sizeBytes: this.#existing(volumeId).sizeBytes, allocatedBytes: 0 }
  }
}
