// Which projects may use a flavor that is not public.
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { operation } from "../../platform/operation/operation.ts"
import { checkProject, projectInvalid } from "../project.ts"
import {
  flavorAccessExists,
  flavorAccessNotFound,
  flavorAccessOfPublic,
  flavorIsPublic,
  flavorNotFound,
} from "./faults.ts"
import { type Flavor, FlavorId, findFlavor } from "./flavor.ts"

export interface FlavorAccess {
  flavor: Flavor
  projectIds: string[]
}

async function accessTo(ctx: Ctx, flavor: Flavor): Promise<FlavorAccess> {
  const rows = await ctx.db
    .selectFrom("compute.flavor_access")
    .select("project_id")
    .where("flavor_id", "=", flavor.id)
    .orderBy("project_id")
    .execute()
  return { flavor, projectIds: rows.map((row) => row.project_id) }
}

export const listFlavorAccess = operation({
  name: "compute.flavor.list_access",
  input: Type.Object({ flavorId: FlavorId }),
  faults: [flavorNotFound, flavorAccessOfPublic],
  rule: "os_compute_api:os-flavor-access",
  run: async (ctx, input) => {
    const flavor = await findFlavor(ctx, input.flavorId)
    if (flavor.isPublic) throw flavorAccessOfPublic()
    return await accessTo(ctx, flavor)
  },
})

const AccessInput = Type.Object({
  flavorId: FlavorId,
  projectId: Type.String({ minLength: 1, maxLength: 255 }),
})

export const addFlavorAccess = operation({
  name: "compute.flavor.add_access",
  /** `mayBePublic`: as clients of before 2.7 have it, where access to what everybody has is no error. */
  input: Type.Object({ ...AccessInput.properties, mayBePublic: Type.Optional(Type.Boolean()) }),
  faults: [flavorNotFound, flavorIsPublic, flavorAccessExists, projectInvalid],
  rule: "os_compute_api:os-flavor-access:add_tenant_access",
  run: async (ctx, input) => {
    const flavor = await findFlavor(ctx, input.flavorId)
    await checkProject(ctx, input.projectId)
    if (flavor.isPublic && !input.mayBePublic) throw flavorIsPublic()
    const added = await ctx.db
      .insertInto("compute.flavor_access")
      .values({ flavor_id: flavor.id, project_id: input.projectId })
      .onConflict((oc) => oc.doNothing())
      .executeTakeFirst()
    if (Number(added.numInsertedOrUpdatedRows) === 0)
      throw flavorAccessExists(input.flavorId, input.projectId)
    return await accessTo(ctx, flavor)
  },
})

export const removeFlavorAccess = operation({
  name: "compute.flavor.remove_access",
  input: AccessInput,
  faults: [flavorNotFound, flavorAccessNotFound],
  rule: "os_compute_api:os-flavor-access:remove_tenant_access",
  run: async (ctx, input) => {
    const flavor = await findFlavor(ctx, input.flavorId)
    const removed = await ctx.db
      .deleteFrom("compute.flavor_access")
      .where("flavor_id", "=", flavor.id)
      .where("project_id", "=", input.projectId)
      .executeTakeFirst()
    if (removed.numDeletedRows === 0n) throw flavorAccessNotFound(input.flavorId, input.projectId)
    return await accessTo(ctx, flavor)
  },
})
