// A store of backups in memory, for tests of the agent.
import { agentImageMissing } from "../faults.ts"
import { type BackupStore, digestBytes, partChunks } from "../volumes/backup-store.ts"

export interface MemoryBackup {
  digests: Map<number, Buffer>
  chunks: Map<number, Buffer>
  whole: { sizeBytes: number; chunkBytes: number } | null
}

export class MemoryBackups implements BackupStore {
  readonly backups = new Map<string, MemoryBackup>()
  /** Of the backup before, by the new one's id. */
  readonly parents = new Map<string, string>()
  /** Called before each chunk is taken. */
  beforePut: (chunk: number) => Promise<void> = async () => {}

  #of(dataId: string): MemoryBackup {
    let backup = this.backups.get(dataId)
    if (!backup) {
      backup = { digests: new Map(), chunks: new Map(), whole: null }
      this.backups.set(dataId, backup)
    }
    return backup
  }

  offer: BackupStore["offer"] = async ({ dataId }, part, digests) => {
    const backup = this.#of(dataId)
    backup.digests.set(part, Buffer.from(digests))
    const before = this.backups.get(this.parents.get(dataId) ?? "")?.digests.get(part)
    const wanted: number[] = []
    for (let at = 0; at < digests.length; at += digestBytes) {
      const digest = digests.subarray(at, at + digestBytes)
      const isNew = !before?.subarray(at, at + digestBytes).equals(digest)
      if (isNew && digest.some((byte) => byte !== 0)) wanted.push(part * partChunks + at / digestBytes)
    }
    return wanted
  }

  put: BackupStore["put"] = async ({ dataId }, chunk, data) => {
    await this.beforePut(chunk)
    this.#of(dataId).chunks.set(chunk, Buffer.from(data))
  }

  finish: BackupStore["finish"] = async ({ dataId }, whole) => {
    this.#of(dataId).whole = whole
  }

  open: BackupStore["open"] = async ({ dataId }) => {
    const whole = this.backups.get(dataId)?.whole
    if (!whole) throw agentImageMissing(dataId)
    return whole
  }

  digests: BackupStore["digests"] = async ({ dataId }, part) =>
    this.#of(dataId).digests.get(part) ?? Buffer.alloc(0)

  get: BackupStore["get"] = async ({ dataId }, chunk) => {
    for (let id: string | undefined = dataId; id !== undefined; id = this.parents.get(id)) {
      const data = this.backups.get(id)?.chunks.get(chunk)
      if (data) return data
    }
    throw agentImageMissing(dataId)
  }
}
