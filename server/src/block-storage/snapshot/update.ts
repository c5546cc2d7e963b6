import { sql } from "kysely"
import { Type } from "typebox"
import { transact } from "../../platform/db/database.ts"
import { updateThing } from "../../platform/noun/list.ts"
import { operation } from "../../platform/operation/operation.ts"
import { nullable, word } from "../../platform/schema/make.ts"
import { snapshotInvalid, snapshotNotFound } from "../faults.ts"
import { metadataVerbs } from "../metadata.ts"
import { everything, targetOf } from "../viewer.ts"
import { actorOf } from "../volume/task.ts"
import { notifySnapshot } from "./notification.ts"
import { visibleSnapshot } from "./read.ts"
import { type SnapshotStatus, snapshotNoun, snapshotStatuses } from "./snapshot.ts"

export const updateSnapshot = operation({
  name: "block_storage.snapshot.update",
  input: Type.Object({ id: Type.String(), changes: snapshotNoun.changes }),
  faults: [snapshotNotFound],
  load: (ctx, { id }) => visibleSnapshot(ctx, id),
  rule: "volume:update_snapshot",
  target: (_ctx, _input, snapshot) => targetOf(snapshot),
  run: async (ctx, { id, changes: { name, description } }) =>
    await transact(ctx.db, async (tx) => {
      const values = { name, description, updated_at: ctx.clock.now() }
      const changed = await updateThing(tx, snapshotNoun, everything, id, values)
      if (!changed) throw snapshotNotFound(id)
      await notifySnapshot(ctx, tx, changed, "update.end", actorOf(ctx))
      return changed
    }),
})

export const snapshotMetadata = metadataVerbs(snapshotNoun, {
  visible: visibleSnapshot,
  word: "Snapshot",
  rules: {
    create: "volume:update_snapshot_metadata",
    update: "volume:update_snapshot_metadata",
    delete: "volume:delete_snapshot_metadata",
  },
  faults: [snapshotNotFound],
})

/** Takes it from any task; an administrator has looked. */
export const resetSnapshotStatus = operation({
  name: "block_storage.snapshot.reset_status",
  input: Type.Object({
    id: Type.String(),
    status: word(snapshotStatuses),
  }),
  faults: [snapshotNotFound],
  load: (ctx, { id }) => visibleSnapshot(ctx, id),
  rule: "volume_extension:snapshot_admin_actions:reset_status",
  target: (_ctx, _input, snapshot) => targetOf(snapshot),
  run: async (ctx, { id, status }) => {
    await ctx.db
      .updateTable("block_storage.snapshot")
      .set({ status, generation: sql<number>`generation + 1`, updated_at: sql<Date>`now()` })
      .where("id", "=", id)
      .execute()
  },
})

/** How far whoever makes or removes it is; from which status to which is Cinder's rule. */
const nextStatuses: Partial<Record<SnapshotStatus, readonly SnapshotStatus[]>> = {
  creating: ["creating", "available", "error"],
  deleting: ["deleting", "error_deleting"],
}

export const noteSnapshotProgress = operation({
  name: "block_storage.snapshot.note_progress",
  input: Type.Object({
    id: Type.String(),
    status: word(snapshotStatuses),
    /** `80%` */
    progress: nullable(Type.String()),
  }),
  faults: [snapshotNotFound, snapshotInvalid],
  load: (ctx, { id }) => visibleSnapshot(ctx, id),
  rule: "snapshot_extension:snapshot_actions:update_snapshot_status",
  target: (_ctx, _input, snapshot) => targetOf(snapshot),
  run: async (ctx, { id, status, progress }, snapshot) => {
    const next = nextStatuses[snapshot.status] ?? []
    const refused = `Snapshot ${id} is ${snapshot.status}; it may become ${next.join(", ") || "nothing else"} so.`
    if (!next.includes(status)) throw snapshotInvalid(refused)
    const { numUpdatedRows } = await ctx.db
      .updateTable("block_storage.snapshot")
      .set({ status, progress, generation: sql<number>`generation + 1`, updated_at: sql<Date>`now()` })
      .where("id", "=", id)
      .where("status", "=", snapshot.status)
      .executeTakeFirstOrThrow()
    if (numUpdatedRows === 0n) throw snapshotInvalid(refused)
  },
})
