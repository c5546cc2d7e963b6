// Make, get, list, change and delete regions. A region's id is the name that clients know it by.
import { type Selectable, sql } from "kysely"
import { Type } from "typebox"
import { type DbOrTx, jsonb, type Tx } from "../../platform/db/database.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { newHexId } from "../../platform/ids/ids.ts"
import { operation } from "../../platform/operation/operation.ts"
import { announce, changeIdentity, changeOrConflict } from "../change.ts"
import { conflict, forbidden, found, notFound } from "../faults.ts"
import { dropLimits } from "../limit/drop.ts"
import { ListInput, type ListSpec, listRows, type Rows } from "../list.ts"
import { Extra, Id, Text } from "../shapes.ts"
import type { RegionTable } from "../tables.ts"

export type RegionRow = Selectable<RegionTable>

const regionList: ListSpec = {
  table: sql`identity.region`,
  columns: { parent_region_id: sql`parent_region_id` },
}

const RegionId = Type.String({ minLength: 1, maxLength: 255 })

export async function findRegion(db: DbOrTx, id: string): Promise<RegionRow | null> {
  const row = await db.selectFrom("identity.region").selectAll().where("id", "=", id).executeTakeFirst()
  return row ?? null
}

export const createRegion = operation({
  name: "identity.region.create",
  input: Type.Object({
    id: Type.Optional(RegionId),
    parentRegionId: Type.Optional(Text),
    description: Type.Optional(Text),
    extra: Type.Optional(Extra),
  }),
  faults: [conflict, notFound],
  rule: "identity:create_region",
  run: async (ctx, input): Promise<RegionRow> => {
    const id = input.id ?? newHexId()
    return await changeOrConflict(
      ctx,
      () => conflict("region", `Duplicate ID, ${id}.`),
      async (tx) => {
        await checkParent(tx, id, input.parentRegionId)
        const row = await tx
          .insertInto("identity.region")
          .values({
            id,
            parent_region_id: input.parentRegionId ?? null,
            description: input.description ?? "",
            extra: jsonb(input.extra ?? {}),
          })
          .returningAll()
          .executeTakeFirstOrThrow()
        await announce(ctx, tx, "region", "created", id)
        return row
      },
    )
  },
})

/** The parent is there, and following the parents up does not come back. */
async function checkParent(tx: Tx, id: string, parentId: string | null | undefined): Promise<void> {
  if (!parentId) return
  if (parentId !== id && !(await findRegion(tx, parentId))) throw notFound("region", parentId)
  const above = await sql<{ id: string }>`with recursive up as (
      select id, parent_region_id from identity.region where id = ${parentId}
      union select r.id, r.parent_region_id from up u join identity.region r on r.id = u.parent_region_id
    ) select id from up where id = ${id}`.execute(tx)
  if (above.rows.length > 0 || parentId === id)
    throw invalid("parent_region_id", `The region ${id} cannot be below itself.`)
}

/** Anyone with a token may know the regions. */
export const getRegion = operation({
  name: "identity.region.get",
  input: Id,
  faults: [notFound],
  load: (ctx, { id }) => findRegion(ctx.db, id),
  rule: "identity:get_region",
  run: async (_ctx, { id }, row) => found(row, "region", id),
})

export const listRegions = operation({
  name: "identity.region.list",
  input: ListInput,
  rule: "identity:list_regions",
  run: async (ctx, input): Promise<Rows<RegionRow>> => await listRows(ctx, regionList, input),
})

export const updateRegion = operation({
  name: "identity.region.update",
  input: Type.Object({
    id: RegionId,
    parentRegionId: Type.Optional(Text),
    description: Type.Optional(Text),
    extra: Type.Optional(Extra),
  }),
  faults: [notFound],
  load: (ctx, { id }) => findRegion(ctx.db, id),
  rule: "identity:update_region",
  run: async (ctx, input, row): Promise<RegionRow> => {
    found(row, "region", input.id)
    return await changeIdentity(ctx, async (tx) => {
      await checkParent(tx, input.id, input.parentRegionId)
      const after = await tx
        .updateTable("identity.region")
        .set({
          id: input.id,
          ...(input.parentRegionId === undefined ? {} : { parent_region_id: input.parentRegionId }),
          ...(input.description === undefined ? {} : { description: input.description ?? "" }),
          ...(input.extra === undefined ? {} : { extra: sql<never>`extra || ${jsonb(input.extra)}` }),
        })
        .where("id", "=", input.id)
        .returningAll()
        .executeTakeFirst()
      await announce(ctx, tx, "region", "updated", input.id)
      return found(after, "region", input.id)
    })
  },
})

export const deleteRegion = operation({
  name: "identity.region.delete",
  input: Id,
  faults: [notFound, forbidden],
  load: (ctx, { id }) => findRegion(ctx.db, id),
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
