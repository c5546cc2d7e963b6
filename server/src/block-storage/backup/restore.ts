import { Type } from "typebox"
import { transact } from "../../platform/db/database.ts"
import { findThing } from "../../platform/noun/list.ts"
import { operation } from "../../platform/operation/operation.ts"
import { quotaExceeded } from "../../quota/index.ts"
import {
  backupInvalid,
  backupNotFound,
  inputInvalid,
  volumeInvalid,
  volumeNotFound,
  volumeTooLarge,
} from "../faults.ts"
import { targetOf, viewerOf } from "../viewer.ts"
import { insertVolume, planVolume } from "../volume/create.ts"
import { notifyVolume } from "../volume/notification.ts"
import { actorOf, claimVolume } from "../volume/task.ts"
import { volumeNoun } from "../volume/volume.ts"
import { beginRestoringKey } from "./key.ts"
import { notifyBackup } from "./notification.ts"
import { holdBackup, originOfBackup } from "./origin.ts"
import { visibleBackup } from "./read.ts"
import { restoreBackupSaga } from "./restore.saga.ts"
import { selectBackup } from "./store.ts"

const nullableText = Type.Union([Type.String({ maxLength: 255 }), Type.Null()])

export interface Restored {
  backupId: string
  volumeId: string
  volumeName: string | null
}

/** To a volume that is there, whose data it replaces, or to a new one. */
export const restoreBackup = operation({
  name: "block_storage.backup.restore",
  input: Type.Object({
    id: Type.String(),
    /** Null: a new one. */
    volumeId: nullableText,
    /** Of the new one. */
    name: nullableText,
  }),
  faults: [
    ...[backupNotFound, backupInvalid, volumeNotFound, volumeInvalid, inputInvalid],
    ...[quotaExceeded, volumeTooLarge],
  ],
  load: (ctx, { id }) => visibleBackup(ctx, id),
  rules: ["backup:restore", "volume:create"],
  authorize: (ctx, { volumeId }, backup) => [
    ["backup:restore", targetOf(backup)],
    ...(volumeId === null ? [["volume:create", { project_id: ctx.caller.projectId }] as const] : []),
  ],
  run: async (ctx, { id, volumeId, name }): Promise<Restored> => {
    const { projectId, userId } = ctx.caller
    const actor = actorOf(ctx)
    if (volumeId === null) {
      if (!projectId) throw inputInvalid("a volume needs a project: use a token with project scope.")
      const nothing = {
        imageId: null,
        snapshotId: null,
        sourceVolumeId: null,
        volumeType: null,
        sizeGib: null,
      }
      const plan = await planVolume(ctx, viewerOf(ctx), { ...nothing, backupId: id, projectId })
      return await transact(ctx.db, async (tx) => {
        const volume = await insertVolume(ctx, tx, {
          ...{ ...plan, projectId, userId, host: null, status: "restoring-backup" },
          name: name || `restore_backup_${id}`,
          description: "auto-created_from_restore_from_backup",
        })
        const backup = await selectBackup(tx, id)
        if (backup) await notifyBackup(ctx, tx, backup, "restore.start", actor)
        return { backupId: id, volumeId: volume.id, volumeName: volume.name }
      })
    }
    // Who may not see it learns nothing of it.
    if (!(await findThing(ctx.db, volumeNoun, viewerOf(ctx), volumeId))) throw volumeNotFound(volumeId)
    const { least, imageMetadata, isBootable, metadata } = await originOfBackup(ctx, viewerOf(ctx), id)
    return await transact(ctx.db, async (tx) => {
      const volume = await claimVolume(tx, volumeId, "restore")
      if (volume.host === null) throw volumeInvalid(`Volume ${volumeId} has no data yet.`)
      if (volume.sizeGib < least)
        throw volumeInvalid(`volume size ${volume.sizeGib} is too small to restore backup of size ${least}.`)
      await beginRestoringKey(ctx, tx, id, volume)
      const from = await holdBackup(tx, id)
      const backup = await selectBackup(tx, id)
      if (backup) await notifyBackup(ctx, tx, backup, "restore.start", actor)
      await notifyVolume(ctx, tx, volume, "restore.start", actor)
      const facts = { imageMetadata, isBootable, metadata }
      const params = { volumeId, generation: volume.generation, ...actor, from, facts }
      await ctx.sagas.start(tx, restoreBackupSaga, params, { requestId: ctx.requestId, resourceId: volumeId })
      return { backupId: id, volumeId, volumeName: volume.name }
    })
  },
})
