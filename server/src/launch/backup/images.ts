// Images of a backup: an index of all that have data, and their data when asked for. A file of the store never changes
// once it is there, so what the snapshot names can be copied while the cloud works.
import { createReadStream, existsSync } from "node:fs"
import { constants, copyFile, mkdir, rename } from "node:fs/promises"
import { dirname, join } from "node:path"
import type pg from "pg"
import { imagesWithData, mainStoreId } from "../../image/index.ts"
import { writeBackupFile } from "./dump.ts"
import type { BackupFile, Manifest } from "./manifest.ts"

export async function backUpImages(
  client: pg.Client,
  storeDirs: ReadonlyMap<string, string>,
  directory: string,
  withData: boolean,
): Promise<{ files: BackupFile[]; images: Manifest["images"] }> {
  const images = { count: 0, sizeBytes: 0, areIncluded: withData, missing: 0 }
  const files: BackupFile[] = []
  let lastId = ""
  const index = async function* () {
    for await (const row of imagesWithData(client)) {
      if (row.id !== lastId) images.count++
      lastId = row.id
      images.sizeBytes += row.sizeBytes
      yield `${JSON.stringify(row)}\n`
      const storeDir = storeDirs.get(row.store)
      const from = storeDir === undefined ? undefined : join(storeDir, row.file)
      if (from === undefined || !existsSync(from)) images.missing++
      else if (withData) files.push(await copyData(from, directory, `${folderOf(row.store)}/${row.file}`))
    }
  }
  files.push(await writeBackupFile(directory, "images.jsonl", index()))
  return { files, images }
}

/** Of the backup. The main store's is where backups have always had it. */
function folderOf(store: string): string {
  return store === mainStoreId ? "image/store" : `image/stores/${store}`
}

async function copyData(from: string, directory: string, path: string): Promise<BackupFile> {
  return await writeBackupFile(directory, path, createReadStream(from))
}

/** Puts the data of a backup into the stores where they are missing; what is there is never written over. */
export async function restoreImageData(
  directory: string,
  storeDirs: ReadonlyMap<string, string>,
  files: readonly BackupFile[],
): Promise<number> {
  let count = 0
  for (const { path } of files) {
    for (const [store, storeDir] of storeDirs) {
      const folder = `${folderOf(store)}/`
      if (!path.startsWith(folder)) continue
      const to = join(storeDir, path.slice(folder.length))
      if (existsSync(to)) continue
      await mkdir(dirname(to), { recursive: true, mode: 0o700 })
      await copyFile(join(directory, path), `${to}.restoring`, constants.COPYFILE_FICLONE)
      await rename(`${to}.restoring`, to)
      count++
    }
  }
  return count
}
