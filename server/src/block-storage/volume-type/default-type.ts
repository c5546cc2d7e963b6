// What the volumes of a project are of when nothing is said.
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { operation } from "../../platform/operation/operation.ts"
import { volumeTypeNotFound } from "../faults.ts"
import { findVolumeType } from "./choose.ts"

const ProjectId = Type.Object({ projectId: Type.String({ minLength: 1, maxLength: 255 }) })

export interface DefaultType {
  projectId: string
  volumeTypeId: string
}

const selectDefault = (ctx: Ctx) =>
  ctx.db
    .selectFrom("block_storage.default_type")
    .select(["project_id as projectId", "volume_type_id as volumeTypeId"])

export const getDefaultType = operation({
  name: "block_storage.default_type.get",
  input: ProjectId,
  faults: [volumeTypeNotFound],
  rule: "volume_extension:default_get",
  run: async (ctx, { projectId }): Promise<DefaultType> => {
    const found = await selectDefault(ctx).where("project_id", "=", projectId).executeTakeFirst()
    if (!found) throw volumeTypeNotFound(`of project ${projectId}`)
    return found
  },
})

export const listDefaultTypes = operation({
  name: "block_storage.default_type.list",
  input: Type.Object({}),
  rule: "volume_extension:default_get_all",
  run: async (ctx): Promise<DefaultType[]> =>
    await selectDefault(ctx).orderBy("project_id").limit(ctx.config.blockStorage.listLimitMost).execute(),
})

export const setDefaultType = operation({
  name: "block_storage.default_type.set",
  input: Type.Object({ projectId: Type.String({ minLength: 1, maxLength: 255 }), volumeType: Type.String() }),
  faults: [volumeTypeNotFound],
  rule: "volume_extension:default_set_or_update",
  run: async (ctx, { projectId, volumeType }): Promise<DefaultType> => {
    const { id: volumeTypeId } = await findVolumeType(ctx, volumeType)
    await ctx.db
      .insertInto("block_storage.default_type")
      .values({ project_id: projectId, volume_type_id: volumeTypeId })
      .onConflict((on) => on.column("project_id").doUpdateSet({ volume_type_id: volumeTypeId }))
      .execute()
    return { projectId, volumeTypeId }
  },
})

export const unsetDefaultType = operation({
  name: "block_storage.default_type.unset",
  input: ProjectId,
  rule: "volume_extension:default_unset",
  run: async (ctx, { projectId }) => {
    await ctx.db.deleteFrom("block_storage.default_type").where("project_id", "=", projectId).execute()
  },
})
