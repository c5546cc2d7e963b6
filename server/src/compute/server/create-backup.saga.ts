// A snapshot, and then the oldest of its kind go.
import { saga } from "../../engine/saga/saga.ts"
import { deleteImage, listImages } from "../../image/index.ts"
import { internalCtx, type Platform } from "../../platform/context/context.ts"
import { describeError } from "../../platform/fault/fault.ts"
import { abandonSnapshot, type CreateImageParams, takeSnapshot, uploadSnapshot } from "./create-image.saga.ts"

export interface CreateBackupParams extends CreateImageParams {
  backupType: string
  rotation: number
}

export const createBackupSaga = saga<CreateBackupParams>("compute.server.create_backup", 1)
  .step("snapshot", takeSnapshot)
  .step("upload", uploadSnapshot)
  .step("rotate", { do: (s) => rotateBackups(s.ctx, s.params), timeoutMs: 120_000 })
  .onUnwound(abandonSnapshot)

/** In one page; more than that nobody keeps, and what is left over goes with the next backup. */
const backupsMost = 1_000

async function rotateBackups(platform: Platform, params: CreateBackupParams): Promise<void> {
  const ctx = internalCtx(platform)
  const kind = { instance_uuid: params.serverId, image_type: "backup", backup_type: params.backupType }
  const { images } = await listImages(ctx, {
    filters: Object.entries(kind).map(([name, value]) => ({ name, op: "eq" as const, values: [value] })),
    visibility: "all",
    memberStatus: "all",
    isHidden: false,
    isProtected: null,
    tags: [],
    limit: backupsMost,
    marker: null,
    sorts: [{ key: "created_at", direction: "desc" }],
  })
  for (const { id } of images.slice(params.rotation)) {
    try {
      await deleteImage(ctx, { imageId: id })
    } catch (error) {
      // Protected, or gone meanwhile: the new backup is there in any case.
      platform.log.warn({ imageId: id, why: describeError(error) }, "an old backup was not removed")
    }
  }
}
