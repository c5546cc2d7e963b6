import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { ListQuery, loadThing } from "../../platform/noun/list.ts"
import { listPage } from "../../platform/noun/page.ts"
import { getOf } from "../../platform/noun/verbs.ts"
import { operation } from "../../platform/operation/operation.ts"
import { volumeTypeNotFound } from "../faults.ts"
import { viewerOf } from "../viewer.ts"
import { defaultVolumeType } from "./choose.ts"
import { type VolumeType, volumeTypeNoun } from "./volume-type.ts"

export async function visibleType(ctx: Ctx, id: string): Promise<VolumeType> {
  return await loadThing(ctx.db, volumeTypeNoun, viewerOf(ctx), id)
}

export const getVolumeType = getOf(volumeTypeNoun, { viewer: viewerOf, rule: "volume_extension:type_get" })

/** By the word `default`: what a volume of the caller's project is of when nothing is said. */
export const getDefaultVolumeType = operation({
  name: "block_storage.volume_type.get_default",
  input: Type.Object({}),
  faults: [volumeTypeNotFound],
  rule: "volume_extension:type_get",
  run: (ctx) => defaultVolumeType(ctx, ctx.caller.projectId),
})

export const listVolumeTypes = operation({
  name: "block_storage.volume_type.list",
  input: ListQuery,
  faults: [volumeTypeNotFound],
  rule: "volume_extension:type_get_all",
  run: (ctx, query) =>
    listPage(ctx.db, volumeTypeNoun, viewerOf(ctx), query, ctx.config.blockStorage.listLimitMost),
})
