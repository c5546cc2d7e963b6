// What lies beside the database and belongs to a backup. All else in a data directory is made anew (credentials,
// sockets), belongs to a host (machines, image cache), or is derived from rows (the network).
import { createReadStream, existsSync } from "node:fs"
import { copyFile, mkdir, readdir, rename } from "node:fs/promises"
import { dirname, join } from "node:path"
import { writeBackupFile } from "./dump.ts"
import type { BackupFile } from "./manifest.ts"

export const namesBeside = ["passwords.json", "policy.yaml", "policy.d", "identity", "hosts"]

export async function backUpFiles(dataDir: string, directory: string): Promise<BackupFile[]> {
  const files: BackupFile[] = []
  for (const name of namesBeside) {
    for (const path of await filesBelow(dataDir, name)) {
      files.push(await writeBackupFile(directory, `files/${path}`, createReadStream(join(dataDir, path))))
    }
  }
  return files
}

/** Paths below `dataDir` of the files of that name, or in the directory of that name. */
export async function filesBelow(dataDir: string, name: string): Promise<string[]> {
  if (!existsSync(join(dataDir, name))) return []
  const entries = await readdir(join(dataDir, name), { recursive: true, withFileTypes: true }).catch(
    () => null,
  )
  if (entries === null) return [name]
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(dataDir.length + 1))
    .sort()
}

/** Puts them in place; what was there goes to `keepIn`. */
export async function restoreFiles(
  dataDir: string,
  directory: string,
  files: readonly BackupFile[],
  keepIn: string,
): Promise<void> {
  for (const name of namesBeside) {
    if (!existsSync(join(dataDir, name))) continue
    await mkdir(keepIn, { recursive: true, mode: 0o700 })
    await rename(join(dataDir, name), join(keepIn, name))
  }
  for (const { path } of files) {
    if (!path.startsWith("files/")) continue
    const to = join(dataDir, path.slice("files/".length))
    await mkdir(dirname(to), { recursive: true, mode: 0o700 })
    // Owner-only, as they were written.
    await copyFile(join(directory, path), to)
  }
}
