// Backups of volumes in a backup of the cloud: an index of all, and their data when asked for. What is whole never
// changes, so what the snapshot names can be copied while the cloud works; what was deleted meanwhile is missing.
import { createReadStream, existsSync } from "node:fs"
import { constants, copyFile, mkdir, readdir, rename } from "node:fs/promises"
import { dirname, join, relative } from "node:path"
import type pg from "pg"
import { backupsWithData, placeOfData } from "../../block-storage/index.ts"
import { writeBackupFile } from "./dump.ts"
import type { BackupFile, Manifest } from "./manifest.ts"

const folder = "volume-backups"

type Facts = NonNullable<Manifest["volumeBackups"]>

export async function backUpVolumeBackups(
  client: pg.Client,
  store: string,
  directory: string,
  withData: boolean,
): Promise<{ files: BackupFile[]; volumeBackups: Facts }> {
  const volumeBackups: Facts = { count: 0, sizeBytes: 0, areIncluded: withData, missing: 0 }
  const files: BackupFile[] = []
  const index = async function* () {
    for await (const row of backupsWithData(client)) {
      volumeBackups.count++
      yield `${JSON.stringify(row)}\n`
      const copied = await copyData(store, placeOfData(row), directory, withData)
      if (copied === null) volumeBackups.missing++
      for (const file of copied ?? []) {
        volumeBackups.sizeBytes += file.sizeBytes
        files.push(file)
      }
    }
  }
  files.push(await writeBackupFile(directory, "volume-backups.jsonl", index()))
  return { files, volumeBackups }
}

/** Null: they are not there, or are being removed. */
async function copyData(
  store: string,
  place: string,
  directory: string,
  withData: boolean,
): Promise<BackupFile[] | null> {
  const from = join(store, place)
  // Written last.
  if (!existsSync(join(from, "manifest.json"))) return null
  if (!withData) return []
  try {
    const files: BackupFile[] = []
    const entries = await readdir(from, { recursive: true, withFileTypes: true })
    const paths = entries
      .filter((entry) => entry.isFile() && !entry.name.endsWith(".tmp"))
      .map((entry) => relative(store, join(entry.parentPath, entry.name)))
    // The manifest is last here, too.
    for (const path of paths.sort())
      files.push(await writeBackupFile(directory, `${folder}/${path}`, createReadStream(join(store, path))))
    return files
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return null
    throw error
  }
}

/** Puts them into the store where they are missing; what is there is never written over. */
export async function restoreVolumeBackupData(
  directory: string,
  store: string,
  files: readonly BackupFile[],
): Promise<number> {
  let count = 0
  for (const { path } of files) {
    if (!path.startsWith(`${folder}/`)) continue
    const to = join(store, path.slice(folder.length + 1))
    if (existsSync(to)) continue
    await mkdir(dirname(to), { recursive: true, mode: 0o700 })
    await copyFile(join(directory, path), `${to}.restoring.tmp`, constants.COPYFILE_FICLONE)
    await rename(`${to}.restoring.tmp`, to)
    count++
  }
  return count
}
