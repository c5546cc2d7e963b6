import { secondsText } from "../../platform/clock/iso-time.ts"
import { hiddenProperties, type Image, type Member, storeId } from "../index.ts"

export function viewImage(image: Image): Record<string, unknown> {
  const view: Record<string, unknown> = { ...image.properties }
  for (const name of hiddenProperties) delete view[name]
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
    ...(image.checksum === null ? {} : { stores: storeId }),
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
