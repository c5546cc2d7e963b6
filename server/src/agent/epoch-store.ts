import type { Epoch } from "./protocol.ts"
import { readStateFile, writeStateFile } from "./state-file.ts"

/** The epoch of the cloud in which this host's machines were last found to agree with the rows. */
export class EpochStore {
  readonly #path: string
  #entered: Epoch | null

  constructor(path: string) {
    this.#path = path
    // Written by `enter`.
    this.#entered = (readStateFile(path) as Epoch | undefined) ?? null
  }

  get entered(): Epoch | null {
    return this.#entered
  }

  /** Never back to an older one. */
  async enter(epoch: Epoch): Promise<void> {
    if (this.#entered && epoch.number <= this.#entered.number) return
    await writeStateFile(this.#path, epoch)
    this.#entered = epoch
  }
}
