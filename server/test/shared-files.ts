// Volumes as files that several hosts reach: as the driver of `nfs`, without a mount.
import { FileVolumeDriver } from "../src/agent/volumes/file-driver.ts"

const gib = 1024 ** 3

export interface SharedFilesOptions {
  name: string
  host: string
  /** What the hosts that say the same share reach; left out: it is one, and does not say so. */
  share?: string
  roomGib: number
}

export class SharedFiles extends FileVolumeDriver {
  override readonly abilities = {
    ...{ thinProvisioning: true, onlineExtend: true, shared: true },
    ...{ consistentGroups: true, multiAttach: true },
    protocol: "nfs",
  }
  readonly #share: string | undefined
  readonly #roomGib: number

  constructor(dir: string, { name, host, share, roomGib }: SharedFilesOptions) {
    super(dir, { name, temporary: `@${host}.tmp` })
    this.#share = share
    this.#roomGib = roomGib
  }

  override async capacity() {
    const bytes = { totalBytes: this.#roomGib * gib, freeBytes: this.#roomGib * gib }
    return this.#share === undefined ? bytes : { ...bytes, share: this.#share }
  }
}
