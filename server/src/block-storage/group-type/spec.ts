// What a group type asks for, item by item. Only administrators see it.
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { jsonb, transact } from "../../platform/db/database.ts"
import { updateThing } from "../../platform/noun/list.ts"
import { operation } from "../../platform/operation/operation.ts"
import { inputInvalid } from "../faults.ts"
import { groupSpecNotFound, groupTypeNotFound } from "../group/faults.ts"
import { checkMetadata, itemOf, type Metadata, withoutItem } from "../metadata.ts"
import { everything } from "../viewer.ts"
import { groupTypeNoun } from "./group-type.ts"
import { notifyGroupType } from "./notification.ts"
import { visibleGroupType } from "./read.ts"

export const listGroupSpecs = operation({
  name: "block_storage.group_type.list_specs",
  input: Type.Object({ id: Type.String() }),
  faults: [groupTypeNotFound],
  load: (ctx, { id }) => visibleGroupType(ctx, id),
  rule: "group:group_types_specs:get_all",
  run: async (_ctx, _input, { groupSpecs }) => groupSpecs,
})

export const showGroupSpec = operation({
  name: "block_storage.group_type.get_spec",
  input: Type.Object({ id: Type.String(), key: Type.String() }),
  faults: [groupTypeNotFound, groupSpecNotFound],
  load: (ctx, { id }) => visibleGroupType(ctx, id),
  rule: "group:group_types_specs:get",
  run: async (_ctx, { id, key }, { groupSpecs }) => {
    const value = itemOf(groupSpecs, key)
    if (value === undefined) throw groupSpecNotFound(id, key)
    return value
  },
})

async function changeSpecs(
  ctx: Ctx,
  id: string,
  event: "create" | "update" | "delete",
  change: (now: Metadata) => Metadata,
): Promise<void> {
  await transact(ctx.db, async (tx) => {
    const locked = await updateThing(tx, groupTypeNoun, everything, id, { updated_at: ctx.clock.now() })
    if (!locked) throw groupTypeNotFound(id)
    const next = change(locked.groupSpecs)
    checkMetadata(next)
    const changed = await updateThing(tx, groupTypeNoun, everything, id, { group_specs: jsonb(next) })
    if (changed) await notifyGroupType(ctx, tx, `group_type_specs.${event}`, changed)
  })
}

export const addGroupSpecs = operation({
  name: "block_storage.group_type.add_specs",
  input: Type.Object({ id: Type.String(), groupSpecs: Type.Record(Type.String(), Type.String()) }),
  faults: [groupTypeNotFound, inputInvalid],
  load: (ctx, { id }) => visibleGroupType(ctx, id),
  rule: "group:group_types_specs:create",
  run: (ctx, { id, groupSpecs }) => changeSpecs(ctx, id, "create", (now) => ({ ...now, ...groupSpecs })),
})

/** Also one that is not there yet, as in Cinder. */
export const setGroupSpec = operation({
  name: "block_storage.group_type.set_spec",
  input: Type.Object({ id: Type.String(), key: Type.String(), value: Type.String() }),
  faults: [groupTypeNotFound, inputInvalid],
  load: (ctx, { id }) => visibleGroupType(ctx, id),
  rule: "group:group_types_specs:update",
  run: (ctx, { id, key, value }) => changeSpecs(ctx, id, "update", (now) => ({ ...now, [key]: value })),
})

export const removeGroupSpec = operation({
  name: "block_storage.group_type.remove_spec",
  input: Type.Object({ id: Type.String(), key: Type.String() }),
  faults: [groupTypeNotFound, groupSpecNotFound],
  load: (ctx, { id }) => visibleGroupType(ctx, id),
  rule: "group:group_types_specs:delete",
  run: (ctx, { id, key }) =>
    changeSpecs(ctx, id, "delete", (now) => withoutItem(now, key, () => groupSpecNotFound(id, key))),
})
