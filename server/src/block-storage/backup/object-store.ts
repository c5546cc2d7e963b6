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
  /** As `deleteAll`; they are kept where no name leads to them. */
  setAside(container: string, prefix: string): Promise<void>
  /** What is before the first `/` of names, with all its objects. */
  prefixes(): AsyncIterable<StoredPrefix>
  /** What was set aside. */
  asides(): AsyncIterable<StoredPrefix>
  /** For good. False: there is none. */
  discard(prefix: StoredPrefix): Promise<boolean>
  /** A word about the store itself, and no object. */
  mark(): Promise<string | null>
  setMark(text: string): Promise<void>
}

export interface StoredPrefix {
  /** Tells it from all others. */
  key: string
  prefix: string
  sizeBytes(): Promise<number>
  /** As `get`, of a name below it. */
  get(name: string): Promise<Buffer | null>
}

export function objectStore({ config }: Pick<Platform, "config">): ObjectStore {
  const { reservedBytes } = config.blockStorage.backup
  return new FileObjectStore({ directory: backupDirectory(config), reservedBytes })
}

export function backupDirectory({ blockStorage, dataDir }: Platform["config"]): string {
  return blockStorage.backup.directory || `${dataDir}/volume-backups`
}
