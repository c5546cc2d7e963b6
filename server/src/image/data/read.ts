// Reads the data of an image from where they are. When there are several places, the store of the highest weight comes
// first, then the order in which users see them; a place that cannot be read is passed over for the next.
import { type FileHandle, open } from "node:fs/promises"
import { Readable } from "node:stream"
import type { Platform } from "../../platform/context/context.ts"
import { describeError } from "../../platform/fault/fault.ts"
import { dataUnreachable, imageHasNoData, rangeNotSatisfiable } from "../faults.ts"
import { hasData, type Image, type Place } from "../image/image.ts"
import { findImage } from "../image/store.ts"
import { openAddress } from "../import/web-download.ts"
import { pathOf } from "../location/rows.ts"
import type { ByteRange } from "./range.ts"
import { findStore } from "./stores.ts"

const pieceBytes = 256 * 1024

/** The best place first. */
export function byWeight(platform: Pick<Platform, "config">, places: readonly Place[]): Place[] {
  const weight = ({ store }: Place) => findStore(platform, store)?.weight ?? Number.NEGATIVE_INFINITY
  return places.toSorted((a, b) => {
    const [first, second] = [weight(a), weight(b)]
    return first === second ? 0 : second - first
  })
}

type OpenedPlace =
  | { kind: "file"; path: string; file: FileHandle }
  | { kind: "address"; url: string; stream: Readable; sizeBytes: number | null }

/** Of a file all of it, at its first byte; of an address what begins at `from`. */
async function openPlace(platform: Platform, image: Image, from: number): Promise<OpenedPlace> {
  const places = byWeight(platform, image.places)
  if (!hasData(image) || places.length === 0) throw imageHasNoData(image.id)
  let failure: unknown
  for (const place of places) {
    try {
      const path = pathOf(platform, place)
      // Opened before anybody is answered: what is gone by then is a fault and not a torn download.
      if (path !== undefined) return { kind: "file", path, file: await open(path, "r") }
      if (place.url !== null) return await openUrlPlace(platform, place.url, from)
    } catch (error) {
      failure = error
      platform.log.warn(
        { imageId: image.id, store: place.store, err: describeError(error) },
        "a place of an image's data cannot be read",
      )
    }
  }
  throw Object.assign(dataUnreachable(image.id), { cause: failure })
}

async function openUrlPlace(platform: Platform, url: string, from: number): Promise<OpenedPlace> {
  const stop = new AbortController()
  const opened = await openAddress(url, platform.config, { signal: stop.signal, from })
  const stream = Readable.from(opened.body, { objectMode: false, highWaterMark: pieceBytes })
  stream.once("close", () => stop.abort(new Error("it is not read any more")))
  return { kind: "address", url, stream, sizeBytes: opened.sizeBytes }
}

/** The bytes of the range, or all. */
export async function readPart(
  platform: Platform,
  image: Image,
  range: ByteRange | null,
): Promise<{ stream: Readable }> {
  const opened = await openPlace(platform, image, range?.start ?? 0)
  if (opened.kind === "file") {
    return { stream: opened.file.createReadStream({ ...(range ?? {}), highWaterMark: pieceBytes }) }
  }
  const most = range === null ? image.sizeBytes : range.end - range.start + 1
  if (most === null) return { stream: opened.stream }
  const cut = Readable.from(exactly(opened.stream, most), { objectMode: false, highWaterMark: pieceBytes })
  cut.once("close", () => opened.stream.destroy())
  return { stream: cut }
}

/** So many bytes and no more; what brings less is torn, and that shows. */
async function* exactly(stream: Readable, most: number): AsyncGenerator<Buffer> {
  let left = most
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    const part = chunk.subarray(0, left)
    left -= part.length
    yield part
    if (left === 0) return
  }
  if (left > 0) throw new Error(`the data ended ${left} bytes early`)
}

async function imageOf(platform: Platform, imageId: string): Promise<Image> {
  const image = await findImage(platform.db, imageId)
  if (!image) throw imageHasNoData(imageId)
  return image
}

/**
 * For readers that have asked already whether the image may be used, on this host: a file where there is one, and the
 * md5 that its data had when they were written.
 */
export async function openImageData(
  platform: Platform,
  imageId: string,
  offset = 0,
): Promise<{ path: string; checksum: string | null } | { stream: Readable; sizeBytes: number | null }> {
  const image = await imageOf(platform, imageId)
  const opened = await openPlace(platform, image, offset)
  if (opened.kind === "address") return { stream: opened.stream, sizeBytes: opened.sizeBytes }
  await opened.file.close()
  return { path: opened.path, checksum: image.readChecksum || image.checksum }
}

/** The same as a stream from this byte on, for readers on another host. `sizeBytes` is that of all the data. */
export async function readImageData(
  platform: Platform,
  imageId: string,
  offset: number,
): Promise<{ stream: Readable; sizeBytes: number | null }> {
  const opened = await openPlace(platform, await imageOf(platform, imageId), offset)
  if (opened.kind === "address") return { stream: opened.stream, sizeBytes: opened.sizeBytes }
  const { file } = opened
  try {
    const { size: sizeBytes } = await file.stat()
    if (offset > sizeBytes) throw rangeNotSatisfiable(`bytes=${offset}-`, sizeBytes)
    return { stream: file.createReadStream({ start: offset, highWaterMark: pieceBytes }), sizeBytes }
  } catch (error) {
    await file.close()
    throw error
  }
}
