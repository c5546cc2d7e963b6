// Where backups are kept: objects by container and name. A driver has these methods and nothing more, so that another
// kind of store is one file.
import type { Platform } from "../../platform/context/context.ts"
import { FileObjectStore } from "./file-store.ts"

export interface ObjectStore {
  /** As exports of backups name it. */
  readonly kind: string
  /** Whole and on its disk when this returns, or not there; over one of that name. Throws `backupStoreFull`. */
  put(container: string, name: string, data: Uint8Array): Promise<void>
  /** Null: there is none. */
  get(container: string, name: string): Promise<Buffer | null>
  /** Names that begin so, up to a `/`, in no order. */
  list(container: string, prefix: string): AsyncIterable<string>
  /** All whose names begin so, up to a `/`. Succeeds when there are none. */
  deleteAll(container: string, prefix: string): Promise<void>
}

export function objectStore({ config }: Pick<Platform, "config">): ObjectStore {
  const { directory, reservedBytes } = config.blockStorage.backup
  return new FileObjectStore({ directory: directory || `${config.dataDir}/volume-backups`, reservedBytes })
}
