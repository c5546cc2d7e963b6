// Files that no image names. Nobody can tell whether it is the file that is too many or the row that is missing (a
// database that was restored, or another one), so such a file is kept aside, and only an operator discards it.
//
// Everywhere the files are listed first and the rows are read after: a file whose row came in between is then known.
import { mkdir, readdir, rename, rm, stat } from "node:fs/promises"
import { join } from "node:path"
import type { Platform } from "../../platform/context/context.ts"
import { readFileName, storePaths } from "./paths.ts"
import { enterEpoch, isStoreInEpoch } from "./store-epoch.ts"

interface ImageFiles {
  data_file: string | null
  staged_file: string | null
  transfer_id: string | null
}

type FileName = { name: string; imageId: string; transferId: string }

/**
 * Removes what transfers had written that are known to have died: the image is there, and the transfer is not its
 * transfer now. What lies in `tmp` was never whole. What belongs to no image that we know stays.
 */
export async function removeDeadTransferFiles(platform: Platform): Promise<number> {
  const { tmp } = storePaths(platform)
  if (!(await isStoreInEpoch(platform))) return 0
  let count = 0
  for await (const { file, image } of filesWithImages(platform, tmp)) {
    if (!image || image.transfer_id === file.transferId) continue
    await rm(join(tmp, file.name), { force: true })
    count++
  }
  return count
}

/**
 * Sets aside what no image names. The age spares what is between its rename into the store and the commit that names
 * it, and what a delete is about to remove.
 */
export async function setUnknownFilesAside(platform: Platform, signal?: AbortSignal): Promise<number> {
  const paths = storePaths(platform)
  const isInEpoch = await isStoreInEpoch(platform)
  let count = 0
  for (const dir of ["store", "staging", "tmp"] as const) {
    for await (const { file, image } of filesWithImages(platform, paths[dir])) {
      if (signal?.aborted) return count
      // Half a file of an image that we know is no loss (`removeDeadTransferFiles`).
      if (isNamed(image, file) || (dir === "tmp" && image)) continue
      const facts = await stat(join(paths[dir], file.name)).catch(() => undefined)
      const ageMs = facts ? platform.clock.now().getTime() - facts.mtimeMs : 0
      if (!facts || ageMs < platform.config.image.orphanAgeMs) continue
      await mkdir(join(paths.lostAndFound, dir), { recursive: true, mode: 0o700 })
      await rename(join(paths[dir], file.name), join(paths.lostAndFound, dir, file.name))
      platform.log.warn(
        { dir, file: file.name, sizeBytes: facts.size },
        "a file that no image names is set aside",
      )
      count++
    }
  }
  if (!isInEpoch) await enterEpoch(platform)
  return count
}

function isNamed(image: ImageFiles | undefined, file: FileName): boolean {
  if (!image) return false
  return image.transfer_id === file.transferId || [image.data_file, image.staged_file].includes(file.name)
}

/** Files that are looked up in one statement. */
const chunkSize = 1000

async function* filesWithImages(
  platform: Platform,
  dir: string,
): AsyncGenerator<{ file: FileName; image: ImageFiles | undefined }> {
  // What we did not name is not ours to touch.
  const files = (await readdir(dir)).flatMap((name) => {
    const parts = readFileName(name)
    return parts ? [{ name, ...parts }] : []
  })
  for (let at = 0; at < files.length; at += chunkSize) {
    const chunk = files.slice(at, at + chunkSize)
    const rows = await platform.db
      .selectFrom("image.image")
      .select(["id", "data_file", "staged_file", "transfer_id"])
      .where(
        "id",
        "in",
        chunk.map((file) => file.imageId),
      )
      .execute()
    const images = new Map(rows.map((row) => [row.id, row]))
    for (const file of chunk) yield { file, image: images.get(file.imageId) }
  }
}
