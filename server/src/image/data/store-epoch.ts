// The epoch of the database that the store's files were last compared with (ADR 18). A store of an earlier epoch was
// there before a backup was restored: nothing of it is removed before all of it was compared. A store of a later epoch
// belongs to another database, and this one touches nothing in it by itself.
import { readFile, rename, writeFile } from "node:fs/promises"
import type { CloudEpoch } from "../../platform/cloud/epoch.ts"
import type { Platform } from "../../platform/context/context.ts"
import { storeOfLaterEpoch } from "../faults.ts"
import { storePaths } from "./paths.ts"

/** Whether it is in the cloud's epoch; throws when it is in a later one. */
export async function isStoreInEpoch(platform: Platform, store: string): Promise<boolean> {
  const path = storePaths(platform, store).epoch
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return null
    throw error
  })
  if (text === null) {
    await enterEpoch(platform, store)
    return true
  }
  // Written by `enterEpoch`.
  const found = JSON.parse(text) as CloudEpoch
  const { epoch } = platform
  if (found.id === epoch.id) return true
  if (found.number >= epoch.number) throw storeOfLaterEpoch(path, found.number, epoch.number)
  return false
}

/** Every file that no row names is out of the way now. */
export async function enterEpoch(platform: Platform, store: string): Promise<void> {
  const path = storePaths(platform, store).epoch
  const temporary = `${path}.${process.pid}`
  await writeFile(temporary, `${JSON.stringify(platform.epoch)}\n`, { mode: 0o600, flush: true })
  await rename(temporary, path)
}
