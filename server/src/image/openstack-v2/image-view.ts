import { secondsText } from "../../platform/clock/iso-time.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { addressOf, byWeight, hiddenProperties, type Image, type Member, type Place } from "../index.ts"

export function viewLocation(place: Place): Record<string, unknown> {
  return { url: addressOf(place), metadata: { ...place.metadata, store: place.store } }
}

export function viewImage(ctx: Ctx, image: Image): Record<string, unknown> {
  const view: Record<string, unknown> = { ...image.properties }
  for (const name of hiddenProperties) delete view[name]
  const { showMultipleLocations, showDirectUrl } = ctx.config.image
  const ordered = byWeight(ctx, image.places)
  const [best] = ordered
  const self = `/v2/images/${image.id}`
  return Object.assign(view, {
    name: image.name,
    disk_format: image.diskFormat,
    container_format: image.containerFormat,
    visibility: image.visibility,
    size: image.sizeBytes,
    virtual_size: image.virtualSizeBytes,
    status: image.status,
    checksum: image.checksum,
    protected: image.isProtected,
    min_ram: image.minRamMib,
    min_disk: image.minDiskGib,
    owner: image.projectId,
    os_hidden: image.isHidden,
    os_hash_algo: image.osHashAlgo,
    os_hash_value: image.osHashValue,
    id: image.id,
    created_at: secondsText(image.createdAt),
    updated_at: secondsText(image.updatedAt),
    tags: image.tags,
    self,
    file: `${self}/file`,
    schema: "/v2/schemas/image",
    ...(best ? { stores: [...new Set(ordered.map(({ store }) => store))].join(",") } : {}),
    ...(showDirectUrl && best ? { direct_url: addressOf(best) } : {}),
    ...(showMultipleLocations ? { locations: image.places.map(viewLocation) } : {}),
  })
}

export function viewMember(member: Member): Record<string, unknown> {
  return {
    member_id: member.memberId,
    image_id: member.imageId,
    status: member.status,
    created_at: secondsText(member.createdAt),
    updated_at: secondsText(member.updatedAt),
    schema: "/v2/schemas/member",
  }
}
