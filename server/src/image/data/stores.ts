// The stores by name: `file`, which every cloud has, and what the operator declares beside it.
import { join } from "node:path"
import { badConfig, type Config } from "../../platform/config/config.ts"
import { storeNotThere, storeReadOnly, storeUnknown } from "../faults.ts"

export interface FileStore {
  id: string
  type: "file"
  description: string
  weight: number
  /** Its directories lie there. */
  root: string
}

/** Reads what lies at addresses that users name, and keeps nothing. */
export interface HttpStore {
  id: string
  type: "http"
  description: string
  weight: number
}

export type ImageStore = FileStore | HttpStore

type WithConfig = { config: Pick<Config, "dataDir" | "image"> }

/** The store that every cloud has; staged data lie beside it. */
export const mainStoreId = "file"

/** Where the main store and what lies beside it are. */
export function mainRoot({ config }: WithConfig): string {
  return config.image.storeDir || join(config.dataDir, "image")
}

export function storesOf({ config }: WithConfig): ImageStore[] {
  const { stores } = config.image
  const main: FileStore = {
    id: mainStoreId,
    type: "file",
    description: "Files of this cloud",
    weight: 0,
    root: mainRoot({ config }),
  }
  const others = stores.map(
    ({ id, type, description = "", weight = 0, directory = "" }): ImageStore =>
      type === "file"
        ? { id, type, description, weight, root: directory }
        : { id, type, description, weight },
  )
  return [main, ...others]
}

export function fileStores(platform: WithConfig): FileStore[] {
  return storesOf(platform).filter((store) => store.type === "file")
}

export function httpStore(platform: WithConfig): HttpStore | undefined {
  return storesOf(platform).find((store) => store.type === "http")
}

interface Declared {
  stores: readonly { id: string; type: "file" | "http"; directory?: string }[]
  defaultStore: string
}

/** What is wrong with the declaration, which the schema cannot say. */
export function checkStores({ stores, defaultStore }: Declared): void {
  const ids = new Set([mainStoreId])
  for (const { id, type, directory } of stores) {
    if (ids.has(id)) throw badConfig("image.stores", `there are two stores ${JSON.stringify(id)}`)
    ids.add(id)
    if (type === "file" && !directory?.startsWith("/"))
      throw badConfig("image.stores", `store ${id} needs a directory, as an absolute path`)
    if (type === "http" && directory !== undefined)
      throw badConfig("image.stores", `store ${id} of type http has no directory`)
  }
  const directories = stores.flatMap(({ directory }) => directory ?? [])
  if (new Set(directories).size < directories.length)
    throw badConfig("image.stores", "two stores have one directory")
  if (stores.filter(({ type }) => type === "http").length > 1)
    throw badConfig("image.stores", "there is more than one store of type http")
  const isFile = [mainStoreId, ...stores.flatMap(({ id, type }) => (type === "file" ? id : []))]
  if (!isFile.includes(defaultStore))
    throw badConfig("image.defaultStore", `must be one of ${isFile.join(", ")}`)
}

export function findStore(platform: WithConfig, id: string): ImageStore | undefined {
  return storesOf(platform).find((store) => store.id === id)
}

/** Throws unless data can be written to a store of that name. */
export function writableStore(platform: WithConfig, id: string): FileStore {
  const store = findStore(platform, id)
  if (!store)
    throw storeUnknown(
      id,
      storesOf(platform)
        .map((each) => each.id)
        .join(", "),
    )
  if (store.type !== "file") throw storeReadOnly(id)
  return store
}

/** Of a row or a running saga: the operator may have taken it out of the configuration since. */
export function knownFileStore(platform: WithConfig, id: string): FileStore {
  const store = findStore(platform, id)
  if (store?.type !== "file") throw storeNotThere(id)
  return store
}
