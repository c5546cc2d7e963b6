import { sql } from "kysely"
import { Type } from "typebox"
import { transact } from "../../platform/db/database.ts"
import { operation } from "../../platform/operation/operation.ts"
import { forgetResources } from "../../quota/index.ts"
import { volumeTypeInUse, volumeTypeIsDefault, volumeTypeNotFound } from "../faults.ts"
import { resourcesOfType } from "../quota/of-types.ts"
import { blockStorageQuota } from "../quota/resources.ts"
import { notifyType } from "./notification.ts"
import { visibleType } from "./read.ts"
import { builtInDefaultType } from "./seed.ts"

export const deleteVolumeType = operation({
  name: "block_storage.volume_type.delete",
  input: Type.Object({ id: Type.String() }),
  faults: [volumeTypeNotFound, volumeTypeInUse, volumeTypeIsDefault],
  load: (ctx, { id }) => visibleType(ctx, id),
  rule: "volume_extension:type_delete",
  run: async (ctx, { id }, type) => {
    if (type.name === ctx.config.blockStorage.defaultVolumeType || type.name === builtInDefaultType)
      throw volumeTypeIsDefault(id)
    await transact(ctx.db, async (tx) => {
      // A group that is being made holds the row: then this waits for it, and sees it.
      await sql`select from block_storage.volume_type where id = ${id} for update`.execute(tx)
      const { rows } = await sql<{ volumes: boolean; defaults: boolean }>`select
        exists (select from block_storage.volume where volume_type_id = ${id} or target_type_id = ${id})
          or exists (select from block_storage.group_volume_type where volume_type_id = ${id}) as volumes,
        exists (select from block_storage.default_type where volume_type_id = ${id}) as defaults`.execute(tx)
      if (rows[0]?.volumes) throw volumeTypeInUse(id)
      if (rows[0]?.defaults) throw volumeTypeIsDefault(id)
      await tx.deleteFrom("block_storage.volume_type").where("id", "=", id).execute()
      await forgetResources(tx, blockStorageQuota, resourcesOfType(id))
      await notifyType(ctx, tx, "delete", type)
    })
  },
})
