import { sql } from "kysely"
import { Type } from "typebox"
import { jsonb } from "../../platform/db/database.ts"
import { updateThing } from "../../platform/noun/list.ts"
import { operation } from "../../platform/operation/operation.ts"
import { badRequest } from "../faults.ts"
import { viewerOf } from "../viewer.ts"
import { flavorExtraSpecNotFound, flavorNotFound } from "./faults.ts"
import { FlavorId, findFlavor, flavorNoun } from "./flavor.ts"
import { checkSpecs } from "./spec-forms.ts"

const rules = "os_compute_api:os-flavor-extra-specs"
const SpecInput = Type.Object({ flavorId: FlavorId, key: Type.String() })

/** Adds or replaces the given specs; the others stay. */
function settingSpecs(verb: string, rule: string) {
  return operation({
    name: `compute.flavor.${verb}`,
    input: Type.Object({
      flavorId: FlavorId,
      specs: Type.Record(Type.String(), Type.String()),
      /** Whether they must be some that there are. */
      isStrict: Type.Boolean(),
    }),
    faults: [badRequest, flavorNotFound],
    rule: `${rules}:${rule}`,
    run: async (ctx, { flavorId, specs, isStrict }): Promise<Record<string, string>> => {
      if (isStrict) checkSpecs(specs)
      const set = { extra_specs: sql`extra_specs || ${jsonb(specs)}`, updated_at: ctx.clock.now() }
      const flavor = await updateThing(ctx.db, flavorNoun, viewerOf(ctx), flavorId, set)
      if (!flavor) throw flavorNotFound(flavorId)
      return flavor.extraSpecs
    },
  })
}

export const createFlavorExtraSpecs = settingSpecs("create_extra_specs", "create")
export const updateFlavorExtraSpec = settingSpecs("update_extra_spec", "update")

export const listFlavorExtraSpecs = operation({
  name: "compute.flavor.list_extra_specs",
  input: Type.Object({ flavorId: FlavorId }),
  faults: [flavorNotFound],
  rule: `${rules}:index`,
  target: (ctx) => ({ project_id: ctx.caller.projectId }),
  run: async (ctx, { flavorId }) => (await findFlavor(ctx, flavorId)).extraSpecs,
})

export const showFlavorExtraSpec = operation({
  name: "compute.flavor.show_extra_spec",
  input: SpecInput,
  faults: [flavorNotFound, flavorExtraSpecNotFound],
  rule: `${rules}:show`,
  target: (ctx) => ({ project_id: ctx.caller.projectId }),
  run: async (ctx, { flavorId, key }): Promise<string> => {
    const value = (await findFlavor(ctx, flavorId)).extraSpecs[key]
    if (value === undefined) throw flavorExtraSpecNotFound(flavorId, key)
    return value
  },
})

export const deleteFlavorExtraSpec = operation({
  name: "compute.flavor.delete_extra_spec",
  input: SpecInput,
  faults: [flavorNotFound, flavorExtraSpecNotFound],
  rule: `${rules}:delete`,
  run: async (ctx, { flavorId, key }) => {
    const { id } = await findFlavor(ctx, flavorId)
    const { numAffectedRows } = await sql`update compute.flavor
      set extra_specs = extra_specs - ${key}::text, updated_at = ${ctx.clock.now()}
      where id = ${id} and extra_specs ? ${key}`.execute(ctx.db)
    if (numAffectedRows !== 1n) throw flavorExtraSpecNotFound(flavorId, key)
  },
})
