import { hiddenProperties, type Image, type Member, storeId } from "../index.ts"

/** Glance shows times to the second. */
export function viewTime(time: Date): string {
  return `${time.toISOString().slice(0, 19)}Z`
}

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
    created_at: viewTime(image.createdAt),
    updated_at: viewTime(image.updatedAt),
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
    created_at: viewTime(member.createdAt),
    updated_at: viewTime(member.updatedAt),
    schema: "/v2/schemas/member",
  }
}
