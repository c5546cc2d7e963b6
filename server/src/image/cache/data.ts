import { imageDataUnread } from "../faults.ts"
import type { Image } from "../image/image.ts"
import type { CachedData } from "./contents.ts"

/** What hosts know the data of the image by. Throws while the cloud has not read them itself. */
export function dataOf({ id, checksum, readChecksum, contentProblem, diskFormat }: Image): CachedData {
  const sum = readChecksum ?? checksum
  if (!sum || diskFormat === null) throw imageDataUnread(id, contentProblem ?? "it has no checksum")
  return { checksum: sum, diskFormat }
}
