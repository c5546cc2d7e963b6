// Volumes as raw sparse files of this host.
//
//   <volumeId>/volume.raw      the data; whole when the file has this name
//   <volumeId>/volume.json     its size; written last, so that with it the volume is there
//   <volumeId>/*.tmp           data on their way; each try has a name of its own, as the program that writes to the last
//                              one's may have outlived the agent
//   lost+found/<volumeId>      kept out of the way; <volumeId>.2 when that is taken
//   unmanaged/<name>           raw data that are no volume (yet, or any more): unmanaged-files.ts
//
// The files are this process's own, as the disks of machines are: QEMU opens them before it gives up root, or is lent
// them for the moment (hypervisor/qemu/volumes.ts).
import { constants } from "node:fs"
import { chown, mkdir, open, readdir, rename, rm, rmdir, stat, statfs } from "node:fs/promises"
import { join } from "node:path"
import { newUuid } from "../../platform/ids/ids.ts"
import { agentVolumeExists, agentVolumeNotFound, agentVolumeTooSmall } from "../faults.ts"
import type { LocalVolume } from "../hypervisor/hypervisor.ts"
import type { VolumeFacts } from "../protocol.ts"
import { readStateFile, removeStateFile, syncDirectory, writeStateFile } from "../state-file.ts"
import { copySparse, toImage } from "./copy-data.ts"
import { UnmanagedFiles } from "./unmanaged-files.ts"
import {
  isFileOrigin,
  type TakeCopy,
  type UnmanagedData,
  type VolumeDriver,
  type VolumeOrigin,
} from "./volume-driver.ts"
import { isVolumeId } from "./volume-id.ts"

interface VolumeRecord {
  sizeBytes: number
}

export interface FileVolumeOptions {
  /** Of the back end; default: `file`. */
  name?: string
  /** Ends the names of data on their way. Where other hosts have theirs in the directory too, each has its own. */
  temporary?: string
}

export class FileVolumeDriver implements VolumeDriver {
  readonly name: string
  readonly abilities = {
    ...{ thinProvisioning: true, onlineExtend: true, shared: false },
    ...{ consistentGroups: true, multiAttach: true },
    protocol: "file",
  }
  readonly unmanaged: UnmanagedData
  readonly #dir: string
  readonly #temporary: string

  constructor(dir: string, { name = "file", temporary = ".tmp" }: FileVolumeOptions = {}) {
    this.#dir = dir
    this.name = name
    this.#temporary = temporary
    const files = new UnmanagedFiles(join(dir, "unmanaged"), {
      data: (volumeId) => this.#data(volumeId),
      recordedBytes: (volumeId) => this.#record(volumeId)?.sizeBytes,
      keep: (volumeId, sizeBytes) => this.#keep(volumeId, { sizeBytes }),
      forget: (volumeId) => removeStateFile(this.#recordFile(volumeId)),
    })
    this.unmanaged = {
      list: () => files.list(),
      leave: (volumeId, name) => files.leave(volumeId, name),
      take: async (volumeId, name, sizeBytes) => {
        await files.take(volumeId, name, sizeBytes)
        return await this.#existing(volumeId)
      },
    }
  }

  async capacity(): Promise<{ totalBytes: number; freeBytes: number }> {
    await mkdir(this.#dir, { recursive: true, mode: 0o711 })
    const { bavail, blocks, bsize } = await statfs(this.#dir)
    return { totalBytes: blocks * bsize, freeBytes: bavail * bsize }
  }

  async create(
    volumeId: string,
    sizeBytes: number,
    origin: VolumeOrigin | null,
    signal: AbortSignal,
  ): Promise<VolumeFacts> {
    const known = this.#record(volumeId)
    if (known) {
      if (known.sizeBytes !== sizeBytes) throw agentVolumeExists(volumeId, known.sizeBytes)
      // Not made anew when its data are gone: nobody would notice the loss.
      return await this.#existing(volumeId)
    }
    // Without its record it was never told of, so nobody can have used what a crash has left.
    const left = await sizeOf(this.#data(volumeId))
    if (left !== null && left > sizeBytes) throw agentVolumeExists(volumeId, left)
    if (left !== sizeBytes) await this.#make(volumeId, sizeBytes, origin, signal)
    await this.#keep(volumeId, { sizeBytes })
    return await this.#existing(volumeId)
  }

  async extend(volumeId: string, sizeBytes: number): Promise<VolumeFacts> {
    const facts = await this.#existing(volumeId)
    if (sizeBytes <= facts.sizeBytes) return facts
    await using file = await open(this.#data(volumeId), "r+")
    // It may be larger than its record: a crash came in between, and a guest may have seen it since.
    const { size } = await file.stat()
    if (size < sizeBytes) await file.truncate(sizeBytes)
    await file.sync()
    await this.#keep(volumeId, { sizeBytes: Math.max(size, sizeBytes) })
    return await this.#existing(volumeId)
  }

  async revert(volumeId: string, origin: VolumeOrigin, signal: AbortSignal): Promise<VolumeFacts> {
    const { sizeBytes } = await this.#existing(volumeId)
    // As for an extend: a guest may have seen it larger than its record says.
    const hasBytes = Math.max(sizeBytes, (await sizeOf(this.#data(volumeId))) ?? 0)
    await this.#make(volumeId, hasBytes, origin, signal)
    await syncDirectory(this.#root(volumeId))
    return await this.#existing(volumeId)
  }

  async copyOut(
    volumeId: string,
    { path, diskFormat, take }: { path: string; diskFormat: string; take: TakeCopy },
    signal: AbortSignal,
  ): Promise<void> {
    await this.#existing(volumeId)
    const from = this.#data(volumeId)
    const taken = `${path}.tmp`
    const to = { kind: "file" as const, path: taken }
    // Into a file that nobody else has open: QEMU may keep what it was lent, and write to it later.
    const copyOf = (data: string) =>
      diskFormat === "raw"
        ? copySparse(data, path, signal)
        : toImage({ path: data, format: "raw" }, path, diskFormat, signal)
    try {
      await makeEmpty(path)
      await take({ to, copyStill: () => copyOf(from), copyImage: () => copyOf(taken) })
    } finally {
      await rm(taken, { force: true })
    }
  }

  async delete(volumeId: string): Promise<void> {
    // First, so that what a crash leaves is no volume any more.
    await removeStateFile(this.#recordFile(volumeId))
    await rm(this.#root(volumeId), { recursive: true, force: true })
  }

  async setAside(volumeId: string): Promise<void> {
    if (!(await stat(this.#root(volumeId)).catch(ifMissing))) return
    const lost = join(this.#dir, "lost+found")
    await mkdir(lost, { recursive: true, mode: 0o711 })
    const taken = new Set(await readdir(lost))
    let entry = volumeId
    for (let n = 2; taken.has(entry); n++) entry = `${volumeId}.${n}`
    await rename(this.#root(volumeId), join(lost, entry))
    await syncDirectory(lost)
  }

  async inspect(volumeId: string): Promise<VolumeFacts | null> {
    const record = this.#record(volumeId)
    const facts = record && (await stat(this.#data(volumeId)).catch(ifMissing))
    return facts ? { sizeBytes: record.sizeBytes, allocatedBytes: facts.blocks * 512 } : null
  }

  async list(): Promise<({ volumeId: string } & VolumeFacts)[]> {
    const volumes: ({ volumeId: string } & VolumeFacts)[] = []
    for (const volumeId of (await readdir(this.#dir).catch(ifMissing)) ?? []) {
      if (!isVolumeId(volumeId)) continue
      const remains = { sizeBytes: 0, allocatedBytes: 0 }
      volumes.push({ volumeId, ...((await this.inspect(volumeId)) ?? remains) })
    }
    return volumes
  }

  async open(volumeId: string): Promise<LocalVolume> {
    await this.#existing(volumeId)
    const path = this.#data(volumeId)
    return { kind: "file", path, format: "raw", isDirect: await canBeDirect(path) }
  }

  async removeLeftovers(): Promise<void> {
    for (const volumeId of (await readdir(this.#dir).catch(ifMissing)) ?? []) {
      if (!isVolumeId(volumeId)) continue
      await this.#removeTemporary(volumeId)
      await this.#takeBack(volumeId)
    }
  }

  /** An agent that was killed while it lent one to QEMU's user has left it that user's. */
  async #takeBack(volumeId: string): Promise<void> {
    const [uid, gid] = [process.getuid?.(), process.getgid?.()]
    const facts = await stat(this.#data(volumeId)).catch(ifMissing)
    if (!facts || uid !== 0 || gid === undefined || facts.uid === uid) return
    await chown(this.#data(volumeId), uid, gid)
  }

  /** The data of an earlier try, or of before a revert, are there until these are whole. */
  async #make(
    volumeId: string,
    sizeBytes: number,
    origin: VolumeOrigin | null,
    signal: AbortSignal,
  ): Promise<void> {
    const root = this.#root(volumeId)
    await mkdir(root, { recursive: true, mode: 0o711 })
    await this.#removeTemporary(volumeId, { keepsDirectory: true })
    const temporary = `${this.#data(volumeId)}.${newUuid()}${this.#temporary}`
    try {
      await makeEmpty(temporary)
      if (origin) await this.#fill(volumeId, sizeBytes, origin, temporary, signal)
      await finish(volumeId, temporary, sizeBytes)
      await rename(temporary, this.#data(volumeId))
    } catch (error) {
      await this.#removeTemporary(volumeId)
      throw error
    }
    await syncDirectory(this.#dir)
  }

  async #fill(
    volumeId: string,
    sizeBytes: number,
    origin: VolumeOrigin,
    to: string,
    signal: AbortSignal,
  ): Promise<void> {
    if (origin.kind === "image") {
      const image = await origin.open()
      mustHold(volumeId, sizeBytes, image.virtualSizeBytes)
      return await toImage(image, to, "raw", signal)
    }
    if (isFileOrigin(origin)) return await origin.write(to)
    const from = await this.#existing(origin.volumeId)
    mustHold(volumeId, sizeBytes, from.sizeBytes)
    const path = this.#data(origin.volumeId)
    const taken = `${to}.taken${this.#temporary}`
    await origin.take({
      to: { kind: "file", path: taken },
      copyStill: () => copySparse(path, to, signal),
      copyImage: () => copySparse(taken, to, signal),
    })
    await rm(taken, { force: true })
  }

  /** And the directory, when there was nothing else in it. */
  async #removeTemporary(volumeId: string, { keepsDirectory = false } = {}): Promise<void> {
    const root = this.#root(volumeId)
    for (const name of (await readdir(root).catch(ifMissing)) ?? []) {
      if (name.endsWith(this.#temporary)) await rm(join(root, name), { force: true })
    }
    if (!keepsDirectory) await rmdir(root).catch(ifMissingOrFull)
  }

  async #keep(volumeId: string, record: VolumeRecord): Promise<void> {
    await writeStateFile(this.#recordFile(volumeId), record)
    await syncDirectory(this.#root(volumeId))
  }

  async #existing(volumeId: string): Promise<VolumeFacts> {
    const facts = await this.inspect(volumeId)
    if (!facts) throw agentVolumeNotFound(volumeId)
    return facts
  }

  #record(volumeId: string): VolumeRecord | undefined {
    // Written by `#keep`.
    return readStateFile(this.#recordFile(volumeId)) as VolumeRecord | undefined
  }

  #root(volumeId: string): string {
    if (!isVolumeId(volumeId)) throw new Error(`not a volume's id: ${volumeId}`)
    return join(this.#dir, volumeId)
  }

  #data(volumeId: string): string {
    return join(this.#root(volumeId), "volume.raw")
  }

  #recordFile(volumeId: string): string {
    return join(this.#root(volumeId), "volume.json")
  }
}

async function makeEmpty(path: string): Promise<void> {
  await using _file = await open(path, "wx", 0o600)
}

/** On the disk, and as long as it is to be. */
async function finish(volumeId: string, path: string, sizeBytes: number): Promise<void> {
  await using file = await open(path, "r+")
  const { size } = await file.stat()
  // A crash in the middle of an extend left the other one larger than its record: nothing that a guest may have written
  // there is cut off.
  mustHold(volumeId, sizeBytes, size)
  await file.truncate(sizeBytes)
  await file.sync()
}

function mustHold(volumeId: string, sizeBytes: number, needsBytes: number): void {
  if (sizeBytes < needsBytes) throw agentVolumeTooSmall(volumeId, sizeBytes, needsBytes)
}

async function sizeOf(path: string): Promise<number | null> {
  return (await stat(path).catch(ifMissing))?.size ?? null
}

/** Some file systems, as tmpfs, have nothing beside the page cache. */
async function canBeDirect(path: string): Promise<boolean> {
  try {
    await using _file = await open(path, constants.O_RDONLY | constants.O_DIRECT)
    return true
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EINVAL") return false
    throw error
  }
}

function ifMissingOrFull(error: unknown): undefined {
  if (error instanceof Error && "code" in error && error.code === "ENOTEMPTY") return undefined
  return ifMissing(error)
}

function ifMissing(error: unknown): undefined {
  if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined
  throw error
}
