// Where image data lie. A file of a store never changes once it is there: what is being written lies in `tmp`, and
// comes into the store by a rename when it is on the disk already. A name is `<image id>.<transfer id>`.
import { join } from "node:path"
import type { Platform } from "../../platform/context/context.ts"
import { knownFileStore, mainStoreId } from "./stores.ts"

export interface StorePaths {
  store: string
  tmp: string
  /** Files of the store that no image names: kept until an operator discards them. */
  lostAndFound: string
  /** Which database they were last compared with. */
  epoch: string
  /** Uploaded for a later import. Only that of the main store is used. */
  staging: string
}

export function storePaths(platform: Pick<Platform, "config">, storeId: string): StorePaths {
  const { root } = knownFileStore(platform, storeId)
  return {
    store: join(root, "store"),
    tmp: join(root, "tmp"),
    staging: join(root, "staging"),
    lostAndFound: join(root, "lost+found"),
    epoch: join(root, "epoch.json"),
  }
}

export function stagingPath(platform: Pick<Platform, "config">, file: string): string {
  return join(storePaths(platform, mainStoreId).staging, file)
}

export function fileName(imageId: string, transferId: string): string {
  return `${imageId}.${transferId}`
}

/** The parts of a name that `fileName` made; undefined for any other file. */
export function readFileName(name: string): { imageId: string; transferId: string } | undefined {
  const match = /^([0-9a-f-]{36})\.([0-9a-f-]{36})$/.exec(name)
  return match?.[1] && match[2] ? { imageId: match[1], transferId: match[2] } : undefined
}
