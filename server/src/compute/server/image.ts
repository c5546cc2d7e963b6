// What a server keeps of its image, so that it can be made again when the image is gone.
import { findBootableImage } from "../../image/index.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { Fault } from "../../platform/fault/fault.ts"
import { badRequest } from "../faults.ts"
import type { FlavorSnapshot } from "./server.ts"

export interface BootImage {
  id: string
  name: string
  checksum: string
  diskFormat: string
  containerFormat: string
  sizeBytes: number
  virtualSizeBytes: number | null
  minDiskGib: number
  minRamMib: number
  properties: Record<string, string>
}

const prefix = "image_"

/** The image if the caller may boot it; Nova answers 400 and not 404 for one that is not there. */
export async function bootImage(ctx: Ctx, imageId: string): Promise<BootImage> {
  try {
    return await findBootableImage(ctx, imageId)
  } catch (error) {
    if (error instanceof Fault && error.kind === "not_found")
      throw badRequest(`Image ${imageId} could not be found.`)
    if (error instanceof Fault && (error.kind === "conflict" || error.kind === "forbidden"))
      throw badRequest(error.message)
    throw error
  }
}

const gib = 1024 ** 3

/** Throws what Nova says when the flavor is too small for the image. */
export function checkImageFits(image: BootImage, flavor: FlavorSnapshot): void {
  if (image.minRamMib > flavor.ramMib) throw badRequest("Flavor's memory is too small for requested image.")
  if (flavor.diskGib === 0) return
  if (image.minDiskGib > flavor.diskGib) {
    throw badRequest(
      `Flavor's disk is smaller than the minimum size specified in image metadata. Flavor disk is ` +
        `${flavor.diskGib * gib} bytes, minimum size is ${image.minDiskGib * gib} bytes.`,
    )
  }
  const size = image.virtualSizeBytes ?? image.sizeBytes
  if (size > flavor.diskGib * gib) {
    throw badRequest(
      `Flavor's disk is too small for requested image. Flavor disk is ${flavor.diskGib * gib} bytes, ` +
        `image is ${size} bytes.`,
    )
  }
}

/** The same of the volume that it boots from. */
export function checkVolumeFits(image: BootImage, sizeGib: number, flavor: FlavorSnapshot): void {
  if (image.minRamMib > flavor.ramMib) throw badRequest("Flavor's memory is too small for requested image.")
  const least = Math.max(image.minDiskGib * gib, image.virtualSizeBytes ?? 0)
  if (sizeGib * gib >= least) return
  throw badRequest(
    `Volume is smaller than the minimum size specified in image metadata. Volume size is ${sizeGib * gib} bytes, ` +
      `minimum size is ${least} bytes.`,
  )
}

/** What a volume keeps of the image that it was made from. */
export function imageOfVolume(metadata: Readonly<Record<string, string>>): BootImage {
  const { image_id, image_name, checksum, container_format, disk_format, min_disk, min_ram, size, ...rest } =
    metadata
  return {
    id: image_id ?? "",
    name: image_name ?? "",
    checksum: checksum ?? "",
    diskFormat: disk_format ?? "raw",
    containerFormat: container_format ?? "bare",
    sizeBytes: Number(size ?? 0),
    virtualSizeBytes: null,
    minDiskGib: Number(min_disk ?? 0),
    minRamMib: Number(min_ram ?? 0),
    properties: rest,
  }
}

/** As system metadata of the server. */
export function imageFacts(image: BootImage): Record<string, string> {
  const facts: Record<string, string> = {
    [`${prefix}base_image_ref`]: image.id,
    [`${prefix}checksum`]: image.checksum,
    [`${prefix}disk_format`]: image.diskFormat,
    [`${prefix}container_format`]: image.containerFormat,
    [`${prefix}min_disk`]: String(image.minDiskGib),
    [`${prefix}min_ram`]: String(image.minRamMib),
    [`${prefix}size_bytes`]: String(image.virtualSizeBytes ?? image.sizeBytes),
  }
  for (const [key, value] of Object.entries(image.properties)) facts[`${prefix}property_${key}`] = value
  return facts
}

export interface KeptImage {
  id: string
  checksum: string
  diskFormat: string
  sizeBytes: number
  minRamMib: number
  properties: Record<string, string>
}

export function keptImage(systemMetadata: Readonly<Record<string, string>>): KeptImage | null {
  const id = systemMetadata[`${prefix}base_image_ref`]
  if (id === undefined) return null
  const properties: Record<string, string> = {}
  const start = `${prefix}property_`
  for (const [key, value] of Object.entries(systemMetadata))
    if (key.startsWith(start)) properties[key.slice(start.length)] = value
  return {
    id,
    checksum: systemMetadata[`${prefix}checksum`] ?? "",
    diskFormat: systemMetadata[`${prefix}disk_format`] ?? "raw",
    sizeBytes: Number(systemMetadata[`${prefix}size_bytes`] ?? 0),
    minRamMib: Number(systemMetadata[`${prefix}min_ram`] ?? 0),
    properties,
  }
}
