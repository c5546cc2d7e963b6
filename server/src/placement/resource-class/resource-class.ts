import { sql } from "kysely"
import { Type } from "typebox"
import { type DbOrTx, transact, violatedConstraint } from "../../platform/db/database.ts"
import { text, time } from "../../platform/noun/field.ts"
import { listThings, loadThing } from "../../platform/noun/list.ts"
import { noun, visibleToAll } from "../../platform/noun/noun.ts"
import { operation } from "../../platform/operation/operation.ts"
import {
  resourceClassExists,
  resourceClassInUse,
  resourceClassNotFound,
  resourceClassStandard,
  resourceClassUnknown,
} from "../faults.ts"
import { standardResourceClasses } from "./standard.ts"

const standard = new Set(standardResourceClasses)

/** Throws for names that are no resource class; `where` begins the sentence that says so. */
export async function checkResourceClasses(
  db: DbOrTx,
  names: Iterable<string>,
  where: string,
): Promise<void> {
  const custom = [...new Set(names)].filter((name) => !standard.has(name))
  if (custom.length === 0) return
  const rows = await db
    .selectFrom("placement.custom_resource_class")
    .select("name")
    .where("name", "in", custom)
    .execute()
  const known = new Set(rows.map((row) => row.name))
  const unknown = custom.filter((name) => !known.has(name))
  if (unknown.length > 0) throw resourceClassUnknown(where, unknown.sort().join(", "))
}

/** Those that people made; the standard ones the program knows. */
export const resourceClassNoun = noun({
  name: "placement.resource_class",
  table: sql`placement.custom_resource_class`,
  alias: "custom_resource_class",
  fields: {
    name: text(sql`custom_resource_class.name`, { create: "required", update: true }),
    createdAt: time(sql`custom_resource_class.created_at`, { internal: true }),
    updatedAt: time(sql`custom_resource_class.updated_at`, { internal: true }),
  },
  key: "name",
  visible: () => visibleToAll,
  notFound: resourceClassNotFound,
})

/** Throws for a name that is no resource class. */
async function loadResourceClass(db: DbOrTx, name: string): Promise<void> {
  if (!standard.has(name)) await loadThing(db, resourceClassNoun, undefined, name)
}

export const listResourceClasses = operation({
  name: "placement.resource_class.list",
  input: Type.Object({}),
  rule: "placement:resource_classes:list",
  run: async (ctx): Promise<string[]> => {
    const custom = await listThings(ctx.db, resourceClassNoun, undefined)
    return [...standardResourceClasses, ...custom.map(({ name }) => name)]
  },
})

const Name = Type.Object({ name: Type.String() })

export const getResourceClass = operation({
  name: "placement.resource_class.get",
  input: Name,
  faults: [resourceClassNotFound],
  rule: "placement:resource_classes:show",
  run: async (ctx, { name }) => await loadResourceClass(ctx.db, name),
})

export const createResourceClass = operation({
  name: "placement.resource_class.create",
  input: Name,
  faults: [resourceClassExists],
  rule: "placement:resource_classes:create",
  run: async (ctx, { name }): Promise<void> => {
    try {
      await ctx.db.insertInto("placement.custom_resource_class").values({ name }).execute()
    } catch (error) {
      if (violatedConstraint(error) === "custom_resource_class_pkey") throw resourceClassExists(name)
      throw error
    }
  },
})

/** Whether it had to be made. */
export const ensureResourceClass = operation({
  name: "placement.resource_class.ensure",
  input: Name,
  rule: "placement:resource_classes:update",
  run: async (ctx, { name }): Promise<{ isNew: boolean }> => {
    const done = await ctx.db
      .insertInto("placement.custom_resource_class")
      .values({ name })
      .onConflict((oc) => oc.doNothing())
      .executeTakeFirst()
    return { isNew: (done.numInsertedOrUpdatedRows ?? 0n) > 0n }
  },
})

export const renameResourceClass = operation({
  name: "placement.resource_class.rename",
  input: Type.Object({ name: Type.String(), newName: Type.String() }),
  faults: [resourceClassNotFound, resourceClassStandard, resourceClassExists],
  rule: "placement:resource_classes:update",
  run: async (ctx, { name, newName }): Promise<void> => {
    await loadResourceClass(ctx.db, name)
    if (standard.has(name)) throw resourceClassStandard("update", name)
    await transact(ctx.db, async (tx) => {
      try {
        await tx
          .updateTable("placement.custom_resource_class")
          .set({ name: newName, updated_at: sql`now()` })
          .where("name", "=", name)
          .execute()
        // The allocations follow by the foreign key.
        await tx
          .updateTable("placement.inventory")
          .set({ resource_class: newName })
          .where("resource_class", "=", name)
          .execute()
      } catch (error) {
        if (violatedConstraint(error) === "custom_resource_class_pkey") throw resourceClassExists(newName)
        throw error
      }
    })
  },
})

export const deleteResourceClass = operation({
  name: "placement.resource_class.delete",
  input: Name,
  faults: [resourceClassNotFound, resourceClassStandard, resourceClassInUse],
  rule: "placement:resource_classes:delete",
  run: async (ctx, { name }): Promise<void> => {
    if (standard.has(name)) throw resourceClassStandard("delete", name)
    await transact(ctx.db, async (tx) => {
      const gone = await tx
        .deleteFrom("placement.custom_resource_class")
        .where("name", "=", name)
        .executeTakeFirst()
      if (gone.numDeletedRows === 0n) throw resourceClassNotFound(name)
      const used = await tx
        .selectFrom("placement.inventory")
        .select("provider_id")
        .where("resource_class", "=", name)
        .executeTakeFirst()
      if (used) throw resourceClassInUse(name)
    })
  },
})
