// What a server keeps of its image, so that it can be made again when the image is gone.
import { findBootableImage, isFreeProperty } from "../../image/index.ts"
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
  if (image.properties.cinder_encryption_key_id)
    throw badRequest(
      `Image ${image.id} is unacceptable: Direct booting of an image uploaded from an encrypted volume is unsupported.`,
    )
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

/** Of an image's data, not of the machine that boots them. */
const ofData = new Set(["image_id", "image_name", "checksum", "kernel_id", "ramdisk_id"])

/**
 * What a volume says of the image that it was made from. Its project writes there what it likes, as with Cinder. So no
 * image is found by it: it has neither id nor checksum, and says only how to run the machine.
 */
export function imageOfVolume(metadata: Readonly<Record<string, string>>): BootImage {
  return {
    ...{ id: "", name: "", checksum: "", diskFormat: "raw", containerFormat: "bare" },
    ...{ sizeBytes: 0, virtualSizeBytes: null },
    minDiskGib: countOf(metadata.min_disk),
    minRamMib: countOf(metadata.min_ram),
    properties: Object.fromEntries(
      Object.entries(metadata).filter(([key]) => isFreeProperty(key) && !ofData.has(key)),
    ),
  }
}

/** None where there is no number. */
function countOf(text: string | undefined): number {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : 0
}

/** Of the image's own data: what is made of the server has no such key. */
const ofKey = new Set(["cinder_encryption_key_id", "cinder_encryption_key_deletion_policy"])

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
  for (const [key, value] of Object.entries(image.properties))
    if (!ofKey.has(key)) facts[`${prefix}property_${key}`] = value
  return facts
}

export interface KeptImage {
  /** Empty: not known, of a server that boots from a volume that was there. */
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
    sizeBytes: countOf(systemMetadata[`${prefix}size_bytes`]),
    minRamMib: countOf(systemMetadata[`${prefix}min_ram`]),
    properties,
  }
}
