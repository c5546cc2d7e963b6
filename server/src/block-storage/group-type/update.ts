import { sql } from "kysely"
import { Type } from "typebox"
import { type Tx, transact } from "../../platform/db/database.ts"
import { listThings, updateThing } from "../../platform/noun/list.ts"
import { operation } from "../../platform/operation/operation.ts"
import { groupTypeExists, groupTypeNotFound } from "../group/faults.ts"
import { everything } from "../viewer.ts"
import { groupTypeNoun } from "./group-type.ts"
import { notifyGroupType } from "./notification.ts"
import { visibleGroupType } from "./read.ts"

export const updateGroupType = operation({
  name: "block_storage.group_type.update",
  input: Type.Object({ id: Type.String(), changes: groupTypeNoun.changes }),
  faults: [groupTypeNotFound, groupTypeExists],
  load: (ctx, { id }) => visibleGroupType(ctx, id),
  rule: "group:group_types:update",
  run: async (ctx, { id, changes: { name, description, isPublic } }) =>
    await transact(ctx.db, async (tx) => {
      if (name !== undefined) await refuseTaken(tx, id, name)
      const values = { name, description, is_public: isPublic, updated_at: ctx.clock.now() }
      const changed = await updateThing(tx, groupTypeNoun, everything, id, values)
      if (!changed) throw groupTypeNotFound(id)
      await notifyGroupType(ctx, tx, "group_type.update", changed)
      return changed
    }),
})

async function refuseTaken(tx: Tx, id: string, name: string): Promise<void> {
  // Two renames at once wait for each other; the second one sees the first one's name.
  await sql`lock table block_storage.group_type in share row exclusive mode`.execute(tx)
  const [taken] = await listThings(tx, groupTypeNoun, everything, { filters: { name: [name] } })
  if (taken && taken.id !== id) throw groupTypeExists(name)
}
