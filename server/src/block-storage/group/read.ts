import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { loadThing } from "../../platform/noun/list.ts"
import { getOf } from "../../platform/noun/verbs.ts"
import { operation } from "../../platform/operation/operation.ts"
import { listOfProjects } from "../list.ts"
import { targetOf, viewerOf } from "../viewer.ts"
import { groupNotFound } from "./faults.ts"
import { type Group, groupNoun } from "./group.ts"

/** One that the caller sees; throws `groupNotFound`. */
export async function visibleGroup(ctx: Ctx, id: string): Promise<Group> {
  return await loadThing(ctx.db, groupNoun, viewerOf(ctx), id)
}

export const getGroup = getOf(groupNoun, { viewer: viewerOf, target: targetOf, rule: "group:get" })

export const listGroups = listOfProjects(groupNoun, "group:get_all")

/** By group, the ids of the volumes of groups that the caller has been shown. */
export const listVolumesOfGroups = operation({
  name: "block_storage.group.list_volumes",
  input: Type.Object({ groupIds: Type.Array(Type.String()) }),
  faults: [groupNotFound],
  rule: "group:get_all",
  target: (ctx) => ({ project_id: ctx.caller.projectId }),
  run: async (ctx, { groupIds }): Promise<Map<string, string[]>> => {
    const found = new Map<string, string[]>(groupIds.map((id) => [id, []]))
    if (groupIds.length === 0) return found
    const rows = await ctx.db
      .selectFrom("block_storage.volume")
      .select(["id", "group_id"])
      .where("group_id", "in", groupIds)
      .orderBy("created_at")
      .orderBy("id")
      .execute()
    for (const { id, group_id: groupId } of rows) found.get(groupId ?? "")?.push(id)
    return found
  },
})
