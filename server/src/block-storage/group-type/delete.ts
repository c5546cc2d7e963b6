import { sql } from "kysely"
import { Type } from "typebox"
import { transact } from "../../platform/db/database.ts"
import { operation } from "../../platform/operation/operation.ts"
import { groupTypeInUse, groupTypeNotFound } from "../group/faults.ts"
import { notifyGroupType } from "./notification.ts"
import { visibleGroupType } from "./read.ts"

export const deleteGroupType = operation({
  name: "block_storage.group_type.delete",
  input: Type.Object({ id: Type.String() }),
  faults: [groupTypeNotFound, groupTypeInUse],
  load: (ctx, { id }) => visibleGroupType(ctx, id),
  rule: "group:group_types:delete",
  run: async (ctx, { id }, type) => {
    await transact(ctx.db, async (tx) => {
      // A group that is being made holds the row: then this waits for it, and sees it.
      await sql`select from block_storage.group_type where id = ${id} for update`.execute(tx)
      const { rows } = await sql<{ isUsed: boolean }>`select
        exists (select from block_storage.volume_group where group_type_id = ${id})
        or exists (select from block_storage.group_snapshot where group_type_id = ${id}) as "isUsed"`.execute(
        tx,
      )
      if (rows[0]?.isUsed) throw groupTypeInUse(id)
      await tx.deleteFrom("block_storage.group_type").where("id", "=", id).execute()
      await notifyGroupType(ctx, tx, "group_type.delete", type)
    })
  },
})
