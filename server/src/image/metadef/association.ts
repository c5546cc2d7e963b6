// Which kinds of things a namespace is for.
import type { Selectable } from "kysely"
import { type Static, Type } from "typebox"
import { type DbOrTx, type Tx, transact } from "../../platform/db/database.ts"
import { operation } from "../../platform/operation/operation.ts"
import { associationExists, associationNotFound, namespaceNotFound } from "../faults.ts"
import type { MetadefAssociationTable } from "../tables.ts"
import type { Association, ResourceType } from "./metadef.ts"
import { namespaceTarget, visibleNamespace } from "./visible.ts"

export const AssociationInput = Type.Object({
  resourceType: Type.String(),
  prefix: Type.Union([Type.String(), Type.Null()]),
  propertiesTarget: Type.Union([Type.String(), Type.Null()]),
})

function toAssociation(row: Selectable<MetadefAssociationTable>): Association {
  return {
    namespaceId: row.namespace_id,
    resourceType: row.resource_type,
    prefix: row.prefix,
    propertiesTarget: row.properties_target,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  }
}

export async function readAssociations(db: DbOrTx, ...namespaceIds: string[]): Promise<Association[]> {
  if (namespaceIds.length === 0) return []
  const rows = await db
    .selectFrom("image.metadef_association")
    .selectAll()
    .where("namespace_id", "in", namespaceIds)
    .orderBy("resource_type")
    .execute()
  return rows.map(toAssociation)
}

export async function insertAssociation(
  tx: Tx,
  namespace: { id: string; name: string },
  input: Static<typeof AssociationInput>,
  now: Date,
): Promise<Association> {
  await tx
    .insertInto("image.metadef_resource_type")
    .values({ name: input.resourceType, created_at: now, updated_at: now })
    .onConflict((oc) => oc.doNothing())
    .execute()
  const row = await tx
    .insertInto("image.metadef_association")
    .values({
      namespace_id: namespace.id,
      resource_type: input.resourceType,
      prefix: input.prefix,
      properties_target: input.propertiesTarget,
      created_at: now,
      updated_at: now,
    })
    .onConflict((oc) => oc.doNothing())
    .returningAll()
    .executeTakeFirst()
  if (!row) throw associationExists(input.resourceType, namespace.name)
  return toAssociation(row)
}

export const listResourceTypes = operation({
  name: "image.metadef_resource_type.list",
  input: Type.Object({}),
  rule: "list_metadef_resource_types",
  target: (ctx) => ({ project_id: ctx.caller.projectId }),
  run: async (ctx): Promise<ResourceType[]> => {
    const rows = await ctx.db.selectFrom("image.metadef_resource_type").selectAll().orderBy("name").execute()
    return rows.map((row) => ({ name: row.name, createdAt: row.created_at, updatedAt: row.updated_at }))
  },
})

export const listAssociations = operation({
  name: "image.metadef_association.list",
  input: Type.Object({ namespace: Type.String() }),
  faults: [namespaceNotFound],
  load: (ctx, { namespace }) => visibleNamespace(ctx, namespace),
  rule: "get_metadef_resource_type",
  target: (_ctx, _input, namespace) => namespaceTarget(namespace),
  run: async (ctx, _input, { id }) => await readAssociations(ctx.db, id),
})

export const addAssociation = operation({
  name: "image.metadef_association.add",
  input: Type.Object({ namespace: Type.String(), association: AssociationInput }),
  faults: [namespaceNotFound, associationExists],
  load: (ctx, { namespace }) => visibleNamespace(ctx, namespace),
  rule: "add_metadef_resource_type_association",
  target: (_ctx, _input, namespace) => namespaceTarget(namespace),
  run: async (ctx, { association }, namespace) =>
    await transact(ctx.db, (tx) => insertAssociation(tx, namespace, association, ctx.clock.now())),
})

export const removeAssociation = operation({
  name: "image.metadef_association.remove",
  input: Type.Object({ namespace: Type.String(), resourceType: Type.String() }),
  faults: [namespaceNotFound, associationNotFound],
  load: (ctx, { namespace }) => visibleNamespace(ctx, namespace),
  rule: "remove_metadef_resource_type_association",
  target: (_ctx, _input, namespace) => namespaceTarget(namespace),
  run: async (ctx, { resourceType }, { id, name }): Promise<void> => {
    const gone = await ctx.db
      .deleteFrom("image.metadef_association")
      .where("namespace_id", "=", id)
      .where("resource_type", "=", resourceType)
      .executeTakeFirst()
    if (gone.numDeletedRows === 0n) throw associationNotFound(resourceType, name)
  },
})
