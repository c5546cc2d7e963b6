import { sql } from "kysely"
import { Type } from "typebox"
import { transact } from "../../platform/db/database.ts"
import { updateThing } from "../../platform/noun/list.ts"
import { operation } from "../../platform/operation/operation.ts"
import { word } from "../../platform/schema/make.ts"
import { groupSnapshotNotFound } from "../group/faults.ts"
import { groupStatuses } from "../group/group.ts"
import { everything, targetOf } from "../viewer.ts"
import { actorOf } from "../volume/task.ts"
import { groupSnapshotNoun } from "./group-snapshot.ts"
import { notifyGroupSnapshot } from "./notification.ts"
import { visibleGroupSnapshot } from "./read.ts"

/** Takes it from any task; an administrator has looked. */
export const resetGroupSnapshotStatus = operation({
  name: "block_storage.group_snapshot.reset_status",
  input: Type.Object({ id: Type.String(), status: word(groupStatuses) }),
  faults: [groupSnapshotNotFound],
  load: (ctx, { id }) => visibleGroupSnapshot(ctx, id),
  rule: "group:reset_group_snapshot_status",
  target: (_ctx, _input, snapshot) => targetOf(snapshot),
  run: async (ctx, { id, status }) => {
    await transact(ctx.db, async (tx) => {
      const values = { status, generation: sql`generation + 1`, updated_at: ctx.clock.now() }
      const changed = await updateThing(tx, groupSnapshotNoun, everything, id, values)
      if (!changed) throw groupSnapshotNotFound(id)
      await notifyGroupSnapshot(ctx, tx, changed, "reset_status.end", actorOf(ctx))
    })
  },
})
