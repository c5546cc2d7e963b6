// Make, get, list, change and delete regions. A region's id is the name that clients know it by.
import { sql } from "kysely"
import { Type } from "typebox"
import type { Tx } from "../../platform/db/database.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { newHexId } from "../../platform/ids/ids.ts"
import { columnsOf, field, nullable, text } from "../../platform/noun/field.ts"
import { insertThing, updateThing } from "../../platform/noun/list.ts"
import { noun, type Thing, visibleToAll } from "../../platform/noun/noun.ts"
import { getOf, listOf } from "../../platform/noun/verbs.ts"
import { operation } from "../../platform/operation/operation.ts"
import { announce, changeIdentity, changeOrConflict } from "../change.ts"
import { conflict, forbidden, found, missingOf, notFound } from "../faults.ts"
import { dropLimits } from "../limit/drop.ts"
import {
  asListed,
  descriptionField,
  everyone,
  extraField,
  find,
  ruleFirst,
  sorts,
  withExtra,
} from "../read.ts"
import { Id } from "../shapes.ts"

export const regionNoun = noun({
  name: "identity.region",
  table: sql`identity.region`,
  alias: "r",
  fields: {
    id: field("text", Type.String({ minLength: 1, maxLength: 255 }), sql`r.id`, { create: true }),
    parentRegionId: nullable(
      text(sql`r.parent_region_id`, { create: true, update: true, filter: true, max: 255 }),
    ),
    description: descriptionField("r"),
    extra: extraField("r"),
  },
  order: sorts.byId,
  visible: () => visibleToAll,
  ...missingOf("region"),
})

export type Region = Thing<typeof regionNoun>

export const createRegion = operation({
  name: "identity.region.create",
  input: regionNoun.create,
  faults: [conflict, notFound],
  rule: "identity:create_region",
  run: async (ctx, { id = newHexId(), parentRegionId, ...facts }): Promise<Region> =>
    await changeIdentity(ctx, async (tx) => {
      await checkParent(tx, id, parentRegionId)
      const values = columnsOf({ ...facts, id, parentRegionId, description: facts.description ?? "" })
      const region = await insertThing(tx, regionNoun, everyone, { values })
      if (!region) throw conflict("region", `Duplicate ID, ${id}.`)
      await announce(ctx, tx, "region", "created", id)
      return region
    }),
})

/** The parent is there, and following the parents up does not come back. */
async function checkParent(tx: Tx, id: string, parentId: string | null | undefined): Promise<void> {
  if (!parentId) return
  if (parentId !== id && !(await find(tx, regionNoun, parentId))) throw notFound("region", parentId)
  const above = await sql<{ id: string }>`with recursive up as (
      select id, parent_region_id from identity.region where id = ${parentId}
      union select r.id, r.parent_region_id from up u join identity.region r on r.id = u.parent_region_id
    ) select id from up where id = ${id}`.execute(tx)
  if (above.rows.length > 0 || parentId === id)
    throw invalid("parent_region_id", `The region ${id} cannot be below itself.`)
}

/** Anyone with a token may know the regions. */
export const getRegion = getOf(regionNoun, { ...ruleFirst, rule: "identity:get_region" })
export const listRegions = listOf(regionNoun, { ...asListed, rule: "identity:list_regions" })

export const updateRegion = operation({
  name: "identity.region.update",
  input: Type.Object({ id: Type.String(), changes: regionNoun.changes }),
  faults: [notFound],
  load: (ctx, { id }) => find(ctx.db, regionNoun, id),
  rule: "identity:update_region",
  run: async (ctx, { id, changes }, region): Promise<Region> => {
    found(region, "region", id)
    return await changeIdentity(ctx, async (tx) => {
      await checkParent(tx, id, changes.parentRegionId)
      const description = changes.description === null ? "" : changes.description
      const set = columnsOf(withExtra({ ...changes, description }))
      const after = await updateThing(tx, regionNoun, everyone, id, set)
      await announce(ctx, tx, "region", "updated", id)
      return found(after, "region", id)
    })
  },
})

export const deleteRegion = operation({
  name: "identity.region.delete",
  input: Id,
  faults: [notFound, forbidden],
  load: (ctx, { id }) => find(ctx.db, regionNoun, id),
  rule: "identity:delete_region",
  run: async (ctx, { id }, row) => {
    found(row, "region", id)
    await changeOrConflict(
      ctx,
      // Something points at it.
      () =>
        forbidden(`Unable to delete region ${id} because it or its child regions have associated endpoints.`),
      async (tx) => {
        const below = sql`with recursive below as (
            select id from identity.region where id = ${id}
            union select r.id from below b join identity.region r on r.parent_region_id = b.id
          ) select id from below`
        await dropLimits(ctx, tx, sql`region_id in (${below})`)
        await sql`delete from identity.region where id in (${below})`.execute(tx)
        await announce(ctx, tx, "region", "deleted", id)
      },
    )
  },
})
