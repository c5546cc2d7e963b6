// Volumes on their way from one back end of this host to another. While there is such a file the two back ends have the
// volume, and the file says which of them is right; the other's data may be removed.
import { mkdirSync, readdirSync } from "node:fs"
import { join } from "node:path"
import { readStateFile, removeStateFile, syncDirectory, writeStateFile } from "../state-file.ts"
import { isVolumeId } from "./volume-id.ts"

export interface VolumeMove {
  from: string
  to: string
  /** The data in `to` are whole, and what was written last may be there alone. */
  isSwitched: boolean
}

export class MoveStore {
  readonly #directory: string
  readonly #moves = new Map<string, VolumeMove>()

  constructor(directory: string) {
    this.#directory = directory
    mkdirSync(directory, { recursive: true, mode: 0o711 })
    for (const name of readdirSync(directory)) {
      const volumeId = name.replace(/\.json$/, "")
      // Written by `put`.
      const move = isVolumeId(volumeId) && (readStateFile(join(directory, name)) as VolumeMove | undefined)
      if (move) this.#moves.set(volumeId, move)
    }
  }

  get(volumeId: string): VolumeMove | undefined {
    return this.#moves.get(volumeId)
  }

  ids(): string[] {
    return [...this.#moves.keys()]
  }

  /** On the disk when this returns. */
  async put(volumeId: string, move: VolumeMove): Promise<void> {
    await writeStateFile(this.#path(volumeId), move)
    await syncDirectory(this.#directory)
    this.#moves.set(volumeId, move)
  }

  async remove(volumeId: string): Promise<void> {
    await removeStateFile(this.#path(volumeId))
    await syncDirectory(this.#directory)
    this.#moves.delete(volumeId)
  }

  #path(volumeId: string): string {
    return join(this.#directory, `${volumeId}.json`)
  }
}
