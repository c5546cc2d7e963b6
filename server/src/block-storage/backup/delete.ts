import { Type } from "typebox"
import { transact } from "../../platform/db/database.ts"
import { operation } from "../../platform/operation/operation.ts"
import { backupInvalid, backupNotFound } from "../faults.ts"
import { targetOf } from "../viewer.ts"
import { actorOf } from "../volume/task.ts"
import { backupStatuses } from "./backup.ts"
import { deleteBackupSaga } from "./delete.saga.ts"
import { notifyBackup } from "./notification.ts"
import { visibleBackup } from "./read.ts"
import { claimBackup } from "./store.ts"

export const deleteBackup = operation({
  name: "block_storage.backup.delete",
  input: Type.Object({
    id: Type.String(),
    /** Whatever its status: one that is being made is ended so. */
    isForced: Type.Boolean(),
  }),
  faults: [backupNotFound, backupInvalid],
  load: (ctx, { id }) => visibleBackup(ctx, id),
  rules: ["backup:delete", "volume_extension:backup_admin_actions:force_delete"],
  authorize: (_ctx, { isForced }, backup) => {
    const rule = isForced ? "volume_extension:backup_admin_actions:force_delete" : "backup:delete"
    return [[rule, targetOf(backup)]]
  },
  run: async (ctx, { id, isForced }) => {
    await transact(ctx.db, async (tx) => {
      const from = isForced ? backupStatuses : (["available", "error"] as const)
      const backup = await claimBackup(tx, id, from, "deleting")
      // Asked after the claim: whoever made one upon it meanwhile was waited for there.
      const dependent = await tx
        .selectFrom("block_storage.backup")
        .select("id")
        .where("parent_id", "=", id)
        .limit(1)
        .executeTakeFirst()
      if (dependent) throw backupInvalid("Incremental backups exist for this backup.")
      const actor = actorOf(ctx)
      await notifyBackup(ctx, tx, backup, "delete.start", actor)
      const params = { backupId: id, generation: backup.generation, ...actor }
      await ctx.sagas.start(tx, deleteBackupSaga, params, { requestId: ctx.requestId, resourceId: id })
    })
  },
})
