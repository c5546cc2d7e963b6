// Who may use a type that is not public.
import { Type } from "typebox"
import { operation } from "../../platform/operation/operation.ts"
import { typeAccessExists, typeAccessNotFound, volumeTypeInvalid, volumeTypeNotFound } from "../faults.ts"
import { visibleType } from "./read.ts"

const Access = Type.Object({ id: Type.String(), projectId: Type.String({ minLength: 1, maxLength: 255 }) })

export const listTypeAccess = operation({
  name: "block_storage.volume_type.list_access",
  input: Type.Object({ id: Type.String() }),
  faults: [volumeTypeNotFound],
  load: (ctx, { id }) => visibleType(ctx, id),
  rule: "volume_extension:volume_type_access:get_all_for_type",
  run: async (ctx, { id }, type) => {
    // Cinder's word for a type that everybody may use.
    if (type.isPublic) throw volumeTypeNotFound(id)
    const rows = await ctx.db
      .selectFrom("block_storage.volume_type_access")
      .select("project_id")
      .where("volume_type_id", "=", id)
      .orderBy("project_id")
      .execute()
    return rows.map(({ project_id: projectId }) => projectId)
  },
})

export const addTypeAccess = operation({
  name: "block_storage.volume_type.add_access",
  input: Access,
  faults: [volumeTypeNotFound, volumeTypeInvalid, typeAccessExists],
  load: (ctx, { id }) => visibleType(ctx, id),
  rule: "volume_extension:volume_type_access:addProjectAccess",
  run: async (ctx, { id, projectId }, type) => {
    if (type.isPublic)
      throw volumeTypeInvalid("Type access modification is not applicable to public volume type.")
    const made = await ctx.db
      .insertInto("block_storage.volume_type_access")
      .values({ volume_type_id: id, project_id: projectId })
      .onConflict((on) => on.doNothing())
      .executeTakeFirst()
    if (!made.numInsertedOrUpdatedRows) throw typeAccessExists(id, projectId)
  },
})

export const removeTypeAccess = operation({
  name: "block_storage.volume_type.remove_access",
  input: Access,
  faults: [volumeTypeNotFound, volumeTypeInvalid, typeAccessNotFound],
  load: (ctx, { id }) => visibleType(ctx, id),
  rule: "volume_extension:volume_type_access:removeProjectAccess",
  run: async (ctx, { id, projectId }, type) => {
    if (type.isPublic)
      throw volumeTypeInvalid("Type access modification is not applicable to public volume type.")
    const gone = await ctx.db
      .deleteFrom("block_storage.volume_type_access")
      .where("volume_type_id", "=", id)
      .where("project_id", "=", projectId)
      .executeTakeFirst()
    if (gone.numDeletedRows === 0n) throw typeAccessNotFound(id, projectId)
  },
})
