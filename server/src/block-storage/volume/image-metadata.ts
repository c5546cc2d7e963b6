// What a volume keeps of the image that it was made from: what a server needs that boots from it.
import type { BootableImage } from "../../image/index.ts"
import { imageKeyProperties } from "./image-key.ts"

export function bootFactsOf(image: BootableImage): Record<string, string> {
  const properties = Object.entries(image.properties).filter(([name]) => !imageKeyProperties.includes(name))
  return {
    ...Object.fromEntries(properties),
    image_id: image.id,
    image_name: image.name,
    checksum: image.checksum,
    container_format: image.containerFormat,
    disk_format: image.diskFormat,
    min_disk: String(image.minDiskGib),
    min_ram: String(image.minRamMib),
    size: String(image.sizeBytes),
  }
}
