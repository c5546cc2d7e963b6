// Files that were set aside, for operators: seen, and discarded for good.
import { readdir, rm, stat } from "node:fs/promises"
import { join } from "node:path"
import type { Platform } from "../../platform/context/context.ts"
import { lostFileNotFound } from "../faults.ts"
import { workingStores } from "./file-store.ts"
import { readFileName, storePaths } from "./paths.ts"
import { fileStores, mainStoreId } from "./stores.ts"

export interface LostFile {
  /** What `discard` is told. */
  id: string
  imageId: string
  /** Where it lay: `store` and `staging` hold whole data, `tmp` what was not finished. */
  from: "store" | "staging" | "tmp"
  path: string
  sizeBytes: number
  writtenAt: string
}

export async function listLostFiles(platform: Platform): Promise<LostFile[]> {
  const found: LostFile[] = []
  for (const { id: store } of fileStores(platform)) {
    const { lostAndFound } = storePaths(platform, store)
    for (const from of ["store", "staging", "tmp"] as const) {
      for (const name of await readdir(join(lostAndFound, from)).catch(() => [])) {
        const parts = readFileName(name)
        const path = join(lostAndFound, from, name)
        const facts = await stat(path).catch(() => undefined)
        if (!parts || !facts) continue
        const { imageId } = parts
        const writtenAt = facts.mtime.toISOString()
        const id = `${store === mainStoreId ? "" : `${store}:`}${from}/${name}`
        found.push({ id, imageId, from, path, sizeBytes: facts.size, writtenAt })
      }
    }
  }
  return found
}

export interface MissingFile {
  imageId: string
  name: string | null
  store: string
  file: string
}

/** Images whose data are not in the store: deleted since a backup was made that was restored. */
export async function listMissingFiles(platform: Platform): Promise<MissingFile[]> {
  const there = new Map<string, Set<string>>()
  for (const id of await workingStores(platform)) {
    there.set(id, new Set(await readdir(storePaths(platform, id).store)))
  }
  const missing: MissingFile[] = []
  for (let after = "00000000-0000-0000-0000-000000000000"; ; ) {
    const rows = await platform.db
      .selectFrom("image.location as l")
      .innerJoin("image.image as i", "i.id", "l.image_id")
      .select(["l.id", "l.image_id", "i.name", "l.store", "l.file"])
      .where("l.id", ">", after)
      .where("l.file", "is not", null)
      .orderBy("l.id")
      .limit(pageSize)
      .execute()
    for (const { image_id: imageId, name, store, file } of rows) {
      if (file !== null && there.get(store)?.has(file) !== true) missing.push({ imageId, name, store, file })
    }
    const last = rows.at(-1)
    if (!last || rows.length < pageSize) return missing
    after = last.id
  }
}

/** Places in one answer. */
const pageSize = 1000

/** Deletes it for good. */
export async function discardLostFile(platform: Platform, id: string): Promise<LostFile> {
  const file = (await listLostFiles(platform)).find((each) => each.id === id)
  if (!file) throw lostFileNotFound(id)
  await rm(file.path, { force: true })
  platform.log.warn(
    { file: id, sizeBytes: file.sizeBytes },
    "a file that was set aside is discarded for good",
  )
  return file
}
