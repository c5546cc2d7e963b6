import { Type } from "typebox"
import { newUuid } from "../../platform/ids/ids.ts"
import { operation } from "../../platform/operation/operation.ts"
import { quotaExceeded } from "../../quota/index.ts"
import {
  badRequest,
  serverInvalidState,
  serverLocked,
  serverNotFound,
  serverNotLaunched,
  serverNotReady,
} from "../faults.ts"
import { createBackupSaga } from "./create-backup.saga.ts"
import { makeSnapshotRecord } from "./create-image.ts"
import { targetOf, visibleServer } from "./read.ts"
import { isVolumeBacked } from "./server.ts"
import { beginTask } from "./task.ts"

/** An image of the root disk as one of a row: of the row's older images only so many stay. */
export const createServerBackup = operation({
  name: "compute.server.create_backup",
  input: Type.Object({
    serverId: Type.String(),
    name: Type.String({ minLength: 1, maxLength: 255 }),
    /** Names the row: `daily`, `weekly` … */
    backupType: Type.String({ maxLength: 255 }),
    /** How many of the row stay, this one included. */
    rotation: Type.Integer({ minimum: 0 }),
    metadata: Type.Record(Type.String(), Type.String()),
  }),
  faults: [
    badRequest,
    quotaExceeded,
    serverNotFound,
    serverLocked,
    serverInvalidState,
    serverNotLaunched,
    serverNotReady,
  ],
  load: (ctx, input) => visibleServer(ctx, input.serverId),
  rule: "os_compute_api:os-create-backup",
  target: (_ctx, _input, server) => targetOf(server),
  run: async (ctx, input, server) => {
    if (isVolumeBacked(server)) throw badRequest("Backup is not supported for volume-backed instances.")
    const imageId = newUuid()
    const { backupType, rotation } = input
    await beginTask(ctx, {
      serverId: server.id,
      action: "createBackup",
      event: "snapshot",
      saga: createBackupSaga,
      more: async (tx, claimed) => {
        const kind = { image_type: "backup", backup_type: backupType }
        const properties = { ...input.metadata, ...kind }
        await makeSnapshotRecord(ctx, tx, claimed, { id: imageId, name: input.name, properties })
        return { imageId, backupType, rotation }
      },
    })
    return { imageId }
  },
})
