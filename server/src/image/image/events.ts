// Notifications of images, in the words that Glance uses.
import type { Ctx } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"
import type { Image } from "./image.ts"

export type ImageEvent = "create" | "prepare" | "upload" | "activate" | "update" | "delete"

export async function announceImage(tx: Tx, ctx: Ctx, event: ImageEvent, image: Image): Promise<void> {
  await ctx.outbox.append(tx, {
    type: `image.${event}`,
    publisher: `image.${ctx.config.host}`,
    projectId: image.projectId,
    userId: ctx.caller.userId || null,
    requestId: ctx.requestId,
    resourceId: image.id,
    payload: {
      id: image.id,
      name: image.name,
      status: image.status,
      created_at: image.createdAt.toISOString(),
      updated_at: image.updatedAt.toISOString(),
      min_disk: image.minDiskGib,
      min_ram: image.minRamMib,
      protected: image.isProtected,
      checksum: image.checksum,
      owner: image.projectId,
      disk_format: image.diskFormat,
      container_format: image.containerFormat,
      size: image.sizeBytes,
      virtual_size: image.virtualSizeBytes,
      is_public: image.visibility === "public",
      visibility: image.visibility,
      properties: image.properties,
      tags: image.tags,
      deleted: event === "delete",
    },
  })
}
