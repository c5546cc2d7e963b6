// Create, update, delete, access and extra specs of flavors: an administrator's work. Who may is decided before what
// is there, as in Nova: others get 403 for a flavor that there is not, too.
import { sql } from "kysely"
import { Type } from "typebox"
import { jsonb, transact, violatedConstraint } from "../../platform/db/database.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { operation } from "../../platform/operation/operation.ts"
import { checkProject, projectInvalid } from "../project.ts"
import {
  flavorAccessExists,
  flavorAccessNotFound,
  flavorAccessOfPublic,
  flavorExtraSpecNotFound,
  flavorIdTaken,
  flavorIsPublic,
  flavorNameTaken,
  flavorNotFound,
} from "./faults.ts"
import { type Flavor, findFlavor, flavorOf, flavorProjects } from "./flavor.ts"

const FlavorId = Type.String({ minLength: 1, maxLength: 255 })

export const createFlavor = operation({
  name: "compute.flavor.create",
  input: Type.Object({
    flavorId: Type.Union([FlavorId, Type.Null()]),
    name: Type.String({ minLength: 1, maxLength: 255 }),
    description: Type.Union([Type.String(), Type.Null()]),
    vcpus: Type.Integer({ minimum: 1 }),
    ramMib: Type.Integer({ minimum: 1 }),
    diskGib: Type.Integer({ minimum: 0 }),
    ephemeralGib: Type.Integer({ minimum: 0 }),
    swapMib: Type.Integer({ minimum: 0 }),
    rxtxFactor: Type.Number({ exclusiveMinimum: 0 }),
    isPublic: Type.Boolean(),
  }),
  faults: [flavorIdTaken, flavorNameTaken],
  rule: "os_compute_api:os-flavor-manage:create",
  run: async (ctx, input): Promise<Flavor> => {
    const id = newUuid()
    const flavorId = input.flavorId ?? id
    try {
      const row = await ctx.db
        .insertInto("compute.flavor")
        .values({
          id,
          flavor_id: flavorId,
          name: input.name,
          description: input.description,
          vcpus: input.vcpus,
          ram_mib: input.ramMib,
          disk_gib: input.diskGib,
          ephemeral_gib: input.ephemeralGib,
          swap_mib: input.swapMib,
          rxtx_factor: input.rxtxFactor,
          is_public: input.isPublic,
          created_at: ctx.clock.now(),
          updated_at: null,
        })
        .returningAll()
        .executeTakeFirstOrThrow()
      return flavorOf(row)
    } catch (error) {
      if (violatedConstraint(error) === "flavor_flavor_id_key") throw flavorIdTaken(flavorId)
      if (violatedConstraint(error) === "flavor_name_key") throw flavorNameTaken(input.name)
      throw error
    }
  },
})

export const showFlavor = operation({
  name: "compute.flavor.get",
  input: Type.Object({ flavorId: FlavorId }),
  faults: [flavorNotFound],
  rules: "authenticated",
  run: (ctx, input) => findFlavor(ctx, input.flavorId),
})

/** Only the description may change; sizes are what servers were made by. */
export const updateFlavor = operation({
  name: "compute.flavor.update",
  input: Type.Object({ flavorId: FlavorId, description: Type.Union([Type.String(), Type.Null()]) }),
  faults: [flavorNotFound],
  rule: "os_compute_api:os-flavor-manage:update",
  run: async (ctx, input): Promise<Flavor> => {
    const flavor = await findFlavor(ctx, input.flavorId)
    const row = await ctx.db
      .updateTable("compute.flavor")
      .set({ description: input.description, updated_at: ctx.clock.now() })
      .where("id", "=", flavor.id)
      .returningAll()
      .executeTakeFirst()
    if (!row) throw flavorNotFound(input.flavorId)
    return flavorOf(row)
  },
})

export const deleteFlavor = operation({
  name: "compute.flavor.delete",
  input: Type.Object({ flavorId: FlavorId }),
  faults: [flavorNotFound],
  rule: "os_compute_api:os-flavor-manage:delete",
  run: async (ctx, input) => {
    const flavor = await findFlavor(ctx, input.flavorId)
    await ctx.db.deleteFrom("compute.flavor").where("id", "=", flavor.id).execute()
  },
})

export const listFlavorAccess = operation({
  name: "compute.flavor.list_access",
  input: Type.Object({ flavorId: FlavorId }),
  faults: [flavorNotFound, flavorAccessOfPublic],
  rule: "os_compute_api:os-flavor-access",
  run: async (ctx, input) => {
    const flavor = await findFlavor(ctx, input.flavorId)
    if (flavor.isPublic) throw flavorAccessOfPublic()
    return { flavor, projectIds: await flavorProjects(ctx.db, flavor) }
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
    return { flavor, projectIds: await flavorProjects(ctx.db, flavor) }
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
    return { flavor, projectIds: await flavorProjects(ctx.db, flavor) }
  },
})

const Specs = Type.Record(Type.String(), Type.String())

/** Adds or replaces the given specs; the others stay. */
function settingSpecs(verb: string, rule: string) {
  return operation({
    name: `compute.flavor.${verb}`,
    input: Type.Object({ flavorId: FlavorId, specs: Specs }),
    faults: [flavorNotFound],
    rule: `os_compute_api:os-flavor-extra-specs:${rule}`,
    run: async (ctx, input): Promise<Record<string, string>> => {
      const flavor = await findFlavor(ctx, input.flavorId)
      const row = await ctx.db
        .updateTable("compute.flavor")
        .set({ extra_specs: sql`extra_specs || ${jsonb(input.specs)}`, updated_at: ctx.clock.now() })
        .where("id", "=", flavor.id)
        .returning("extra_specs")
        .executeTakeFirst()
      if (!row) throw flavorNotFound(input.flavorId)
      return row.extra_specs
    },
  })
}

export const createFlavorExtraSpecs = settingSpecs("create_extra_specs", "create")
export const updateFlavorExtraSpec = settingSpecs("update_extra_spec", "update")

export const listFlavorExtraSpecs = operation({
  name: "compute.flavor.list_extra_specs",
  input: Type.Object({ flavorId: FlavorId }),
  faults: [flavorNotFound],
  rule: "os_compute_api:os-flavor-extra-specs:index",
  target: (ctx) => ({ project_id: ctx.caller.projectId }),
  run: async (ctx, input): Promise<Record<string, string>> =>
    (await findFlavor(ctx, input.flavorId)).extraSpecs,
})

export const showFlavorExtraSpec = operation({
  name: "compute.flavor.show_extra_spec",
  input: Type.Object({ flavorId: FlavorId, key: Type.String() }),
  faults: [flavorNotFound, flavorExtraSpecNotFound],
  rule: "os_compute_api:os-flavor-extra-specs:show",
  target: (ctx) => ({ project_id: ctx.caller.projectId }),
  run: async (ctx, input): Promise<string> => {
    const value = (await findFlavor(ctx, input.flavorId)).extraSpecs[input.key]
    if (value === undefined) throw flavorExtraSpecNotFound(input.flavorId, input.key)
    return value
  },
})

export const deleteFlavorExtraSpec = operation({
  name: "compute.flavor.delete_extra_spec",
  input: Type.Object({ flavorId: FlavorId, key: Type.String() }),
  faults: [flavorNotFound, flavorExtraSpecNotFound],
  rule: "os_compute_api:os-flavor-extra-specs:delete",
  run: async (ctx, input) => {
    const flavor = await findFlavor(ctx, input.flavorId)
    await transact(ctx.db, async (tx) => {
      const gone = await tx
        .updateTable("compute.flavor")
        .set({ extra_specs: sql`extra_specs - ${input.key}::text`, updated_at: ctx.clock.now() })
        .where("id", "=", flavor.id)
        .where(sql<boolean>`extra_specs ? ${input.key}`)
        .executeTakeFirst()
      if (gone.numUpdatedRows === 0n) throw flavorExtraSpecNotFound(input.flavorId, input.key)
    })
  },
})
