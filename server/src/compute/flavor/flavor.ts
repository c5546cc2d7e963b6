// Flavors: sizes that servers are made in. Changing them is an administrator's work. Who may is decided before what is
// there, as in Nova: others get 403 for a flavor that there is not, too.
import { sql } from "kysely"
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { violatedConstraint } from "../../platform/db/database.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import {
  boolean,
  columnsOf,
  field,
  integer,
  nullable,
  structure,
  text,
  time,
  uuid,
} from "../../platform/noun/field.ts"
import { insertThing, ListQuery, listThings, loadThing, updateThing } from "../../platform/noun/list.ts"
import { noun, type Thing, visibleToAll } from "../../platform/noun/noun.ts"
import { operation } from "../../platform/operation/operation.ts"
import type {} from "../tables.ts"
import { everything, type Viewer, viewerOf } from "../viewer.ts"
import { flavorIdTaken, flavorNameTaken, flavorNotFound } from "./faults.ts"

/** What users call a flavor's id. */
export const FlavorId = Type.String({ minLength: 1, maxLength: 255 })
const Name = Type.String({ minLength: 1, maxLength: 255 })

/** `name` is what clients sort by. */
export const flavorNoun = noun({
  name: "compute.flavor",
  table: sql`compute.flavor`,
  alias: "f",
  key: "flavorId",
  order: [{ key: "flavorId", direction: "asc" }],
  fields: {
    /** Text of an administrator's choice, or a UUID. */
    flavorId: text(sql`f.flavor_id`, { name: "flavorid", create: true, input: FlavorId, sort: true }),
    name: text(sql`f.name`, { create: "required", input: Name, sort: true }),
    ramMib: integer(sql`f.ram_mib`, {
      name: "memory_mb",
      create: "required",
      min: 1,
      filter: true,
      sort: true,
    }),
    vcpus: integer(sql`f.vcpus`, { create: "required", min: 1, sort: true }),
    diskGib: integer(sql`f.disk_gib`, {
      name: "root_gb",
      create: "required",
      min: 0,
      filter: true,
      sort: true,
    }),
    ephemeralGib: integer(sql`f.ephemeral_gib`, { name: "ephemeral_gb", create: true, min: 0, sort: true }),
    swapMib: integer(sql`f.swap_mib`, { name: "swap", create: true, min: 0, sort: true }),
    rxtxFactor: field("other", Type.Number({ exclusiveMinimum: 0 }), sql`f.rxtx_factor`, {
      create: true,
      sort: true,
    }),
    isPublic: boolean(sql`f.is_public`, { create: true, filter: true, sort: true }),
    isDisabled: boolean(sql`f.is_disabled`, { name: "disabled", sort: true }),
    id: uuid(sql`f.id`, { sort: true }),
    createdAt: time(sql`f.created_at`, { sort: true }),
    updatedAt: nullable(time(sql`f.updated_at`, { sort: true })),
    description: nullable(text(sql`f.description`, { max: 65_535, create: true, update: true })),
    extraSpecs: structure(Type.Record(Type.String(), Type.String()), sql`f.extra_specs`),
  },
  /** A private flavor is there only for its projects and for administrators. */
  visible: ({ projectId, seesAll }: Viewer) => {
    if (seesAll) return visibleToAll
    const own = sql`select a.flavor_id from compute.flavor_access a where a.project_id = ${projectId}`
    return {
      row: sql<boolean>`(f.is_public or f.id in (${own}))`,
      main: sql<boolean>`f.is_public`,
      others: [sql<boolean>`f.id = any(array(${own})) and not f.is_public`],
    }
  },
  notFound: flavorNotFound,
  markerNotFound: (id) => invalid("marker", `The marker ${id} could not be found.`),
})

export type Flavor = Thing<typeof flavorNoun>

export async function findFlavor(ctx: Ctx, flavorId: string): Promise<Flavor> {
  return await loadThing(ctx.db, flavorNoun, viewerOf(ctx), flavorId)
}

export const createFlavor = operation({
  name: "compute.flavor.create",
  input: flavorNoun.create,
  faults: [flavorIdTaken, flavorNameTaken],
  rule: "os_compute_api:os-flavor-manage:create",
  run: async (ctx, input): Promise<Flavor> => {
    const id = newUuid()
    const flavorId = input.flavorId ?? id
    const values = { id, ...columnsOf(input), flavor_id: flavorId }
    try {
      const constraint = "flavor_flavor_id_key"
      const flavor = await insertThing(ctx.db, flavorNoun, everything, { values, constraint })
      if (!flavor) throw flavorIdTaken(flavorId)
      return flavor
    } catch (error) {
      throw violatedConstraint(error) === "flavor_name_key" ? flavorNameTaken(input.name) : error
    }
  },
})

export const listFlavors = operation({
  name: "compute.flavor.list",
  input: ListQuery,
  // Any authenticated caller may list what is visible to it, as in Nova.
  rules: "authenticated",
  run: async (ctx, { filters = {}, page = {} }): Promise<Flavor[]> => {
    const viewer = viewerOf(ctx)
    if (viewer.seesAll) return await listThings(ctx.db, flavorNoun, viewer, { filters, page })
    // Only administrators choose between public and private ones.
    const { isPublic: _, ...others } = filters
    const also = [sql<boolean>`not f.is_disabled`]
    return await listThings(ctx.db, flavorNoun, viewer, { filters: others, page, also })
  },
})

const FlavorInput = Type.Object({ flavorId: FlavorId })

export const showFlavor = operation({
  name: "compute.flavor.get",
  input: FlavorInput,
  faults: [flavorNotFound],
  rules: "authenticated",
  run: (ctx, { flavorId }) => findFlavor(ctx, flavorId),
})

/** Only the description may change; sizes are what servers were made by. */
export const updateFlavor = operation({
  name: "compute.flavor.update",
  input: Type.Object({ flavorId: FlavorId, changes: flavorNoun.changes }),
  faults: [flavorNotFound],
  rule: "os_compute_api:os-flavor-manage:update",
  run: async (ctx, { flavorId, changes }): Promise<Flavor> => {
    const set = { ...columnsOf(changes), updated_at: ctx.clock.now() }
    const flavor = await updateThing(ctx.db, flavorNoun, viewerOf(ctx), flavorId, set)
    if (!flavor) throw flavorNotFound(flavorId)
    return flavor
  },
})

export const deleteFlavor = operation({
  name: "compute.flavor.delete",
  input: FlavorInput,
  faults: [flavorNotFound],
  rule: "os_compute_api:os-flavor-manage:delete",
  run: async (ctx, { flavorId }) => {
    const { id } = await findFlavor(ctx, flavorId)
    await ctx.db.deleteFrom("compute.flavor").where("id", "=", id).execute()
  },
})
