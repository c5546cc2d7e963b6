// The store of backups as an agent in the process of the control plane sees it, with the same tickets as over a
// network. Belongs to the composition root, as the agent knows no service.
import type { BackupAccess, BackupStore } from "./agent/volumes/backup-store.ts"
import {
  digestsOfPart,
  finishData,
  offerChunks,
  openData,
  putChunk,
  readChunk,
} from "./block-storage/index.ts"
import type { Platform } from "./platform/context/context.ts"

export function localBackupStore(platform: Platform): BackupStore {
  const from = (access: BackupAccess) => ({ ...access, host: platform.config.host })
  return {
    offer: (access, part, digests) => offerChunks(platform, { ...from(access), part, digests }),
    put: (access, chunk, data) => putChunk(platform, { ...from(access), chunk, data }),
    finish: (access, of) => finishData(platform, { ...from(access), ...of }),
    open: (access) => openData(platform, from(access)),
    digests: (access, part) => digestsOfPart(platform, { ...from(access), part }),
    get: (access, chunk) => readChunk(platform, { ...from(access), chunk }),
  }
}
