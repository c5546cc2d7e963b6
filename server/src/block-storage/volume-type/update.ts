import { sql } from "kysely"
import { Type } from "typebox"
import { type Tx, transact } from "../../platform/db/database.ts"
import { listThings, updateThing } from "../../platform/noun/list.ts"
import { operation } from "../../platform/operation/operation.ts"
import { volumeTypeExists, volumeTypeNotFound } from "../faults.ts"
import { everything } from "../viewer.ts"
import { notifyType } from "./notification.ts"
import { visibleType } from "./read.ts"
import { volumeTypeNoun } from "./volume-type.ts"

export const updateVolumeType = operation({
  name: "block_storage.volume_type.update",
  input: Type.Object({ id: Type.String(), changes: volumeTypeNoun.changes }),
  faults: [volumeTypeNotFound, volumeTypeExists],
  load: (ctx, { id }) => visibleType(ctx, id),
  rule: "volume_extension:type_update",
  run: async (ctx, { id, changes: { name, description, isPublic } }) =>
    await transact(ctx.db, async (tx) => {
      if (name !== undefined) await refuseTaken(tx, id, name)
      const values = { name, description, is_public: isPublic, updated_at: ctx.clock.now() }
      const changed = await updateThing(tx, volumeTypeNoun, everything, id, values)
      if (!changed) throw volumeTypeNotFound(id)
      await notifyType(ctx, tx, "update", changed)
      return changed
    }),
})

async function refuseTaken(tx: Tx, id: string, name: string): Promise<void> {
  // Two renames at once wait for each other; the second one sees the first one's name.
  await sql`lock table block_storage.volume_type in share row exclusive mode`.execute(tx)
  const [taken] = await listThings(tx, volumeTypeNoun, everything, { filters: { name: [name] } })
  if (taken && taken.id !== id) throw volumeTypeExists(name)
}
