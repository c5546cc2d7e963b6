// What a type asks of a back end, and what users see of that.
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { jsonb, transact } from "../../platform/db/database.ts"
import { updateThing } from "../../platform/noun/list.ts"
import { operation } from "../../platform/operation/operation.ts"
import { extraSpecNotFound, inputInvalid, volumeTypeNotFound } from "../faults.ts"
import { checkMetadata, itemOf, withoutItem } from "../metadata.ts"
import { everything, isAdmin } from "../viewer.ts"
import { notifyType } from "./notification.ts"
import { visibleType } from "./read.ts"
import { type VolumeType, volumeTypeNoun } from "./volume-type.ts"

/** What users see of a type's specs; administrators see all of them. */
const shownToUsers: ReadonlySet<string> = new Set([
  "multiattach",
  "RESKEY:availability_zones",
  "replication_enabled",
])

export function shownExtraSpecs(ctx: Ctx, { extraSpecs }: VolumeType): Record<string, string> {
  if (isAdmin(ctx)) return extraSpecs
  return Object.fromEntries(Object.entries(extraSpecs).filter(([key]) => shownToUsers.has(key)))
}

export const listExtraSpecs = operation({
  name: "block_storage.volume_type.list_extra_specs",
  input: Type.Object({ id: Type.String() }),
  faults: [volumeTypeNotFound],
  load: (ctx, { id }) => visibleType(ctx, id),
  rule: "volume_extension:types_extra_specs:index",
  target: (ctx) => ({ project_id: ctx.caller.projectId }),
  run: async (ctx, _input, type) => shownExtraSpecs(ctx, type),
})

export const showExtraSpec = operation({
  name: "block_storage.volume_type.get_extra_spec",
  input: Type.Object({ id: Type.String(), key: Type.String() }),
  faults: [volumeTypeNotFound, extraSpecNotFound],
  load: (ctx, { id }) => visibleType(ctx, id),
  rule: "volume_extension:types_extra_specs:show",
  target: (ctx) => ({ project_id: ctx.caller.projectId }),
  run: async (ctx, { id, key }, type) => {
    const value = itemOf(shownExtraSpecs(ctx, type), key)
    if (value === undefined) throw extraSpecNotFound(id, key)
    return value
  },
})

async function changeExtraSpecs(
  ctx: Ctx,
  id: string,
  change: (now: Readonly<Record<string, string>>) => Readonly<Record<string, string>>,
): Promise<void> {
  await transact(ctx.db, async (tx) => {
    const locked = await updateThing(tx, volumeTypeNoun, everything, id, { updated_at: ctx.clock.now() })
    if (!locked) throw volumeTypeNotFound(id)
    const next = change(locked.extraSpecs)
    checkMetadata(next)
    const changed = await updateThing(tx, volumeTypeNoun, everything, id, { extra_specs: jsonb(next) })
    if (changed) await notifyType(ctx, tx, "update", changed)
  })
}

export const addExtraSpecs = operation({
  name: "block_storage.volume_type.add_extra_specs",
  input: Type.Object({ id: Type.String(), extraSpecs: Type.Record(Type.String(), Type.String()) }),
  faults: [volumeTypeNotFound, inputInvalid],
  load: (ctx, { id }) => visibleType(ctx, id),
  rule: "volume_extension:types_extra_specs:create",
  run: (ctx, { id, extraSpecs }) => changeExtraSpecs(ctx, id, (now) => ({ ...now, ...extraSpecs })),
})

export const updateExtraSpec = operation({
  name: "block_storage.volume_type.update_extra_spec",
  input: Type.Object({ id: Type.String(), key: Type.String(), value: Type.String() }),
  faults: [volumeTypeNotFound, inputInvalid],
  load: (ctx, { id }) => visibleType(ctx, id),
  rule: "volume_extension:types_extra_specs:update",
  // One that there was not is made, as by Cinder.
  run: (ctx, { id, key, value }) => changeExtraSpecs(ctx, id, (now) => ({ ...now, [key]: value })),
})

export const removeExtraSpec = operation({
  name: "block_storage.volume_type.remove_extra_spec",
  input: Type.Object({ id: Type.String(), key: Type.String() }),
  faults: [volumeTypeNotFound, extraSpecNotFound],
  load: (ctx, { id }) => visibleType(ctx, id),
  rule: "volume_extension:types_extra_specs:delete",
  run: (ctx, { id, key }) =>
    changeExtraSpecs(ctx, id, (now) => withoutItem(now, key, () => extraSpecNotFound(id, key))),
})
