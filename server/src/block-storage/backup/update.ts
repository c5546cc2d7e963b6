import { sql } from "kysely"
import { Type } from "typebox"
import { jsonb, transact } from "../../platform/db/database.ts"
import { updateThing } from "../../platform/noun/list.ts"
import { operation } from "../../platform/operation/operation.ts"
import { word } from "../../platform/schema/make.ts"
import { backupNotFound, inputInvalid } from "../faults.ts"
import { checkMetadata } from "../metadata.ts"
import { everything, targetOf } from "../viewer.ts"
import { actorOf } from "../volume/task.ts"
import { backupNoun } from "./backup.ts"
import { notifyBackup } from "./notification.ts"
import { visibleBackup } from "./read.ts"

export const updateBackup = operation({
  name: "block_storage.backup.update",
  input: Type.Object({
    id: Type.String(),
    changes: backupNoun.changes,
    /** Null: it stays. */
    metadata: Type.Union([Type.Record(Type.String(), Type.String()), Type.Null()]),
  }),
  faults: [backupNotFound, inputInvalid],
  load: (ctx, { id }) => visibleBackup(ctx, id),
  rule: "backup:update",
  target: (_ctx, _input, backup) => targetOf(backup),
  run: async (ctx, { id, changes: { name, description }, metadata }) => {
    if (metadata) checkMetadata(metadata)
    const values = { name, description, metadata: metadata ? jsonb(metadata) : undefined }
    const changed = await updateThing(ctx.db, backupNoun, everything, id, {
      ...values,
      updated_at: ctx.clock.now(),
    })
    if (!changed) throw backupNotFound(id)
    return changed
  },
})

/** The words that administrators may say of one, as in Cinder. */
export const resetBackupStatuses = ["available", "error"] as const

/** Takes it from any task; an administrator has looked. */
export const resetBackupStatus = operation({
  name: "block_storage.backup.reset_status",
  input: Type.Object({ id: Type.String(), status: word(resetBackupStatuses) }),
  faults: [backupNotFound],
  load: (ctx, { id }) => visibleBackup(ctx, id),
  rule: "volume_extension:backup_admin_actions:reset_status",
  target: (_ctx, _input, backup) => targetOf(backup),
  run: async (ctx, { id, status }) =>
    await transact(ctx.db, async (tx) => {
      const backup = await updateThing(tx, backupNoun, everything, id, {
        status,
        generation: sql<number>`backup.generation + 1`,
        updated_at: ctx.clock.now(),
      })
      if (!backup) throw backupNotFound(id)
      await notifyBackup(ctx, tx, backup, "reset_status.end", actorOf(ctx))
    }),
})
