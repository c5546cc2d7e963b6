// Files that no image names. Nobody can tell whether it is the file that is too many or the row that is missing (a
// database that was restored, or another one), so such a file is kept aside, and only an operator discards it.
//
// Everywhere the files are listed first and the rows are read after: a file whose row came in between is then known.
import { mkdir, readdir, rename, rm, stat } from "node:fs/promises"
import { join } from "node:path"
import type { Platform } from "../../platform/context/context.ts"
import { type Place, placesOf } from "../image/image.ts"
import { workingStores } from "./file-store.ts"
import { readFileName, storePaths } from "./paths.ts"
import { enterEpoch, isStoreInEpoch } from "./store-epoch.ts"

interface ImageFiles {
  places: readonly Place[]
  stagedFile: string | null
  transferId: string | null
}

type FileName = { name: string; imageId: string; transferId: string }

/**
 * Removes what transfers had written that are known to have died: the image is there, and the transfer is not its
 * transfer now. What lies in `tmp` was never whole. What belongs to no image that we know stays.
 */
export async function removeDeadTransferFiles(platform: Platform): Promise<number> {
  let count = 0
  for (const id of await workingStores(platform)) {
    const { tmp } = storePaths(platform, id)
    if (!(await isStoreInEpoch(platform, id))) continue
    for await (const { file, image } of filesWithImages(platform, tmp)) {
      // What a saga is about has the name of the image's staged file, in every directory.
      if (!image || image.transferId === file.transferId || image.stagedFile === file.name) continue
      await rm(join(tmp, file.name), { force: true })
      count++
    }
  }
  return count
}

/**
 * Sets aside what no image names. The age spares what is between its rename into the store and the commit that names
 * it, and what a delete is about to remove.
 */
export async function setUnknownFilesAside(platform: Platform, signal?: AbortSignal): Promise<number> {
  let count = 0
  for (const id of await workingStores(platform)) count += await setAsideIn(platform, id, signal)
  return count
}

async function setAsideIn(platform: Platform, store: string, signal?: AbortSignal): Promise<number> {
  const paths = storePaths(platform, store)
  const isInEpoch = await isStoreInEpoch(platform, store)
  let count = 0
  for await (const { dir, name, sizeBytes, writtenAt } of unknownFilesOf(platform, store)) {
    if (signal?.aborted) return count
    const ageMs = platform.clock.now().getTime() - writtenAt.getTime()
    if (ageMs < platform.config.image.orphanAgeMs) continue
    await mkdir(join(paths.lostAndFound, dir), { recursive: true, mode: 0o700 })
    await rename(join(paths[dir], name), join(paths.lostAndFound, dir, name))
    platform.log.warn({ store, dir, file: name, sizeBytes }, "a file that no image names is set aside")
    count++
  }
  if (!isInEpoch) await enterEpoch(platform, store)
  return count
}

/** `store` and `staging` hold whole data, `tmp` what was not finished. */
export const storeDirs = ["store", "staging", "tmp"] as const
export type StoreDir = (typeof storeDirs)[number]

export interface UnknownFile extends FileName {
  dir: StoreDir
  sizeBytes: number
  writtenAt: Date
}

/** What no image names and still lies in its place. */
export async function* unknownFilesOf(platform: Platform, store: string): AsyncGenerator<UnknownFile> {
  const paths = storePaths(platform, store)
  for (const dir of storeDirs) {
    for await (const { file, image } of filesWithImages(platform, paths[dir])) {
      // Half a file of an image that we know is no loss (`removeDeadTransferFiles`).
      if (isNamed(image, store, file) || (dir === "tmp" && image)) continue
      const facts = await stat(join(paths[dir], file.name)).catch(() => undefined)
      if (facts) yield { ...file, dir, sizeBytes: facts.size, writtenAt: facts.mtime }
    }
  }
}

function isNamed(image: ImageFiles | undefined, store: string, { name, transferId }: FileName): boolean {
  if (!image) return false
  if (image.transferId === transferId || image.stagedFile === name) return true
  return image.places.some((place) => place.store === store && place.file === name)
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
      .select(["id", "staged_file as stagedFile", "transfer_id as transferId", placesOf.as("places")])
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
