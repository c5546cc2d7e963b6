import type { Ctx } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"
import type { GroupType } from "./group-type.ts"

/** `group_type.create`, `group_type_specs.update` … */
export async function notifyGroupType(ctx: Ctx, tx: Tx, type: string, of: GroupType): Promise<void> {
  const { id, name, isPublic: is_public, groupSpecs: group_specs } = of
  await ctx.outbox.append(tx, {
    type,
    publisher: "volume",
    projectId: ctx.caller.projectId,
    userId: ctx.caller.userId,
    requestId: ctx.requestId,
    resourceId: id,
    payload: { group_types: { id, name, is_public, group_specs } },
  })
}
