// Files that no image names, for operators: seen, and discarded for good when they were set aside.
import { readdir, rm, stat } from "node:fs/promises"
import { join } from "node:path"
import type { Platform } from "../../platform/context/context.ts"
import { lostFileInPlace, lostFileNotFound } from "../faults.ts"
import { workingStores } from "./file-store.ts"
import { readFileName, storePaths } from "./paths.ts"
import { fileStores, mainStoreId } from "./stores.ts"
import { type StoreDir, storeDirs, type UnknownFile, unknownFilesOf } from "./unknown-files.ts"

export interface LostFile {
  /** What `discard` is told. */
  id: string
  imageId: string
  /** Where it lay, or lies. */
  from: StoreDir
  /** False for a file in its place, which is too young to be set aside. */
  isSetAside: boolean
  path: string
  sizeBytes: number
  writtenAt: string
}

export async function listLostFiles(platform: Platform): Promise<LostFile[]> {
  const found: LostFile[] = []
  for (const { id } of fileStores(platform)) {
    for await (const file of asideFilesOf(platform, id)) found.push(shown(platform, id, file, true))
  }
  for (const id of await workingStores(platform)) {
    for await (const file of unknownFilesOf(platform, id)) found.push(shown(platform, id, file, false))
  }
  return found
}

async function* asideFilesOf(platform: Platform, store: string): AsyncGenerator<UnknownFile> {
  const { lostAndFound } = storePaths(platform, store)
  for (const dir of storeDirs) {
    for (const name of await readdir(join(lostAndFound, dir)).catch(() => [])) {
      const parts = readFileName(name)
      const facts = await stat(join(lostAndFound, dir, name)).catch(() => undefined)
      if (parts && facts) yield { name, ...parts, dir, sizeBytes: facts.size, writtenAt: facts.mtime }
    }
  }
}

function shown(platform: Platform, store: string, file: UnknownFile, isSetAside: boolean): LostFile {
  const { dir, name, imageId, sizeBytes } = file
  const paths = storePaths(platform, store)
  return {
    id: `${store === mainStoreId ? "" : `${store}:`}${dir}/${name}`,
    imageId,
    from: dir,
    isSetAside,
    path: isSetAside ? join(paths.lostAndFound, dir, name) : join(paths[dir], name),
    sizeBytes,
    writtenAt: file.writtenAt.toISOString(),
  }
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
  if (!file.isSetAside) throw lostFileInPlace(id)
  await rm(file.path, { force: true })
  platform.log.warn(
    { file: id, sizeBytes: file.sizeBytes },
    "a file that was set aside is discarded for good",
  )
  return file
}
