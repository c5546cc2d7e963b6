import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { isUuid } from "../../platform/ids/ids.ts"
import { findThing, ListQuery, listThings, loadThing } from "../../platform/noun/list.ts"
import { listPage } from "../../platform/noun/page.ts"
import { ThingInput } from "../../platform/noun/verbs.ts"
import { operation } from "../../platform/operation/operation.ts"
import { can } from "../../platform/policy/can.ts"
import { groupTypeNotFound } from "../group/faults.ts"
import { everything, type Viewer, viewerOf } from "../viewer.ts"
import { consistencyGroupType, type GroupType, groupTypeNoun } from "./group-type.ts"

export async function visibleGroupType(ctx: Ctx, id: string): Promise<GroupType> {
  return await loadThing(ctx.db, groupTypeNoun, viewerOf(ctx), id)
}

/** Named by id or name, among those that the caller sees. */
export async function findGroupType(ctx: Ctx, named: string): Promise<GroupType> {
  const viewer = viewerOf(ctx)
  const byId = isUuid(named) ? await findThing(ctx.db, groupTypeNoun, viewer, named) : undefined
  const found = byId ?? (await groupTypeCalled(ctx, viewer, named))
  if (!found) throw groupTypeNotFound(named)
  return found
}

async function groupTypeCalled(ctx: Ctx, viewer: Viewer, name: string): Promise<GroupType | undefined> {
  const [found] = await listThings(ctx.db, groupTypeNoun, viewer, {
    filters: { name: [name] },
    page: { limit: 1 },
  })
  return found
}

/** Of what the older calls make; undefined: somebody has removed it. */
export async function typeOfConsistencyGroups(ctx: Ctx): Promise<GroupType | undefined> {
  return await groupTypeCalled(ctx, everything, consistencyGroupType)
}

export const getGroupType = operation({
  name: "block_storage.group_type.get",
  input: ThingInput,
  faults: [groupTypeNotFound],
  load: (ctx, { id }) => visibleGroupType(ctx, id),
  rules: "authenticated",
  run: async (_ctx, _input, type) => type,
})

/** By the word `default`: what the operator has named in the configuration. */
export const getDefaultGroupType = operation({
  name: "block_storage.group_type.get_default",
  input: Type.Object({}),
  faults: [groupTypeNotFound],
  rules: "authenticated",
  run: async (ctx) => {
    const name = ctx.config.blockStorage.defaultGroupType
    const found = name === "" ? undefined : await groupTypeCalled(ctx, everything, name)
    if (!found) throw groupTypeNotFound("default")
    return found
  },
})

export const listGroupTypes = operation({
  name: "block_storage.group_type.list",
  input: ListQuery,
  faults: [groupTypeNotFound],
  rules: "authenticated",
  run: (ctx, query) =>
    listPage(ctx.db, groupTypeNoun, viewerOf(ctx), query, ctx.config.blockStorage.listLimitMost),
})

/** Undefined: they are not for the caller to see. */
export function shownGroupSpecs(ctx: Ctx, { groupSpecs }: GroupType): Record<string, string> | undefined {
  return can(ctx, "group:access_group_types_specs") ? groupSpecs : undefined
}
