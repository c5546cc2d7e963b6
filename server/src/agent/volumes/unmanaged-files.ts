// Data beside the volumes, as files of one directory. What changes hands does so by one rename, or by a second name
// that is there before the first one goes: a crash leaves it under one of the two, and the repeated command goes on.
import { constants } from "node:fs"
import { link, lstat, mkdir, open, readdir, rename, rm, rmdir } from "node:fs/promises"
import { dirname, join } from "node:path"
import { agentDataNotFound, agentDataUnfit, agentVolumeExists, agentVolumeTooSmall } from "../faults.ts"
import { syncDirectory } from "../state-file.ts"
import { checkUnmanagedName, isUnmanagedName } from "./unmanaged-name.ts"
import type { UnmanagedData, UnmanagedFacts } from "./volume-driver.ts"

/** The files of a volume. */
export interface VolumeFiles {
  data(volumeId: string): string
  /** Its size by its record; undefined: it has none. */
  recordedBytes(volumeId: string): number | undefined
  keep(volumeId: string, sizeBytes: number): Promise<void>
  /** From then on the volume is not there, though its data are. */
  forget(volumeId: string): Promise<void>
}

export class UnmanagedFiles implements Omit<UnmanagedData, "take"> {
  readonly #dir: string
  readonly #volumes: VolumeFiles

  constructor(dir: string, volumes: VolumeFiles) {
    this.#dir = dir
    this.#volumes = volumes
  }

  async list(): Promise<UnmanagedFacts[]> {
    const found: UnmanagedFacts[] = []
    for (const name of (await readdir(this.#dir).catch(ifMissing)) ?? []) {
      const facts = isUnmanagedName(name) ? await this.#look(name) : undefined
      if (facts) found.push(facts)
    }
    return found
  }

  async take(volumeId: string, name: string, sizeBytes: number): Promise<void> {
    const known = this.#volumes.recordedBytes(volumeId)
    if (known !== undefined && known !== sizeBytes) throw agentVolumeExists(volumeId, known)
    if (known !== undefined) return
    const path = this.#volumes.data(volumeId)
    // Else a crash came after the rename: the id is the volume's own, and so is what it has.
    if (!(await lstat(path).catch(ifMissing))) await this.#move(volumeId, name, { path, sizeBytes })
    await using file = await open(path, constants.O_RDWR | constants.O_NOFOLLOW)
    await file.chmod(0o600)
    const { size } = await file.stat()
    if (size < sizeBytes) await file.truncate(sizeBytes)
    await file.sync()
    await this.#volumes.keep(volumeId, sizeBytes)
  }

  async leave(volumeId: string, name: string): Promise<void> {
    const path = this.#volumes.data(volumeId)
    await this.#volumes.forget(volumeId)
    if (await lstat(path).catch(ifMissing)) {
      await mkdir(this.#dir, { recursive: true, mode: 0o700 })
      await this.#nameAgain(path, checkUnmanagedName(name))
      await syncDirectory(this.#dir)
    }
    await rm(dirname(path), { recursive: true, force: true })
  }

  async #move(volumeId: string, name: string, to: { path: string; sizeBytes: number }): Promise<void> {
    const facts = await this.#look(checkUnmanagedName(name))
    if (!facts) throw agentDataNotFound(name)
    if (facts.problem !== null) throw agentDataUnfit(name, facts.problem)
    if (facts.sizeBytes > to.sizeBytes) throw agentVolumeTooSmall(volumeId, to.sizeBytes, facts.sizeBytes)
    const root = dirname(to.path)
    await mkdir(root, { recursive: true, mode: 0o711 })
    try {
      await rename(join(this.#dir, name), to.path)
    } catch (error) {
      await rmdir(root)
      // Another volume was faster.
      throw ifMissing(error) ?? agentDataNotFound(name)
    }
    for (const directory of [root, dirname(root), this.#dir]) await syncDirectory(directory)
  }

  /** Never in the place of others' data: under the next name that is free. */
  async #nameAgain(path: string, name: string): Promise<void> {
    for (let n = 1; ; n++) {
      const target = join(this.#dir, n === 1 ? name : `${name}.${n}`)
      try {
        return await link(path, target)
      } catch (error) {
        if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error
      }
      const [own, other] = await Promise.all([lstat(path), lstat(target).catch(ifMissing)])
      if (own.ino === other?.ino) return
    }
  }

  async #look(name: string): Promise<UnmanagedFacts | undefined> {
    const facts = await lstat(join(this.#dir, name)).catch(ifMissing)
    if (!facts) return undefined
    if (!facts.isFile()) return { name, sizeBytes: 0, problem: "It is no plain file." }
    const { size: sizeBytes } = facts
    // It is somebody's under that: of a volume, in the middle of being left.
    if (facts.nlink > 1) return { name, sizeBytes, problem: "The file has another name as well." }
    return { name, sizeBytes, problem: sizeBytes === 0 ? "It is empty." : null }
  }
}

function ifMissing(error: unknown): undefined {
  if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined
  throw error
}
