// Which kinds of things a namespace is for.
import { sql } from "kysely"
import { type Static, Type } from "typebox"
import { type DbOrTx, type Tx, transact } from "../../platform/db/database.ts"
import { nullable, text, time, uuid } from "../../platform/noun/field.ts"
import { listThings } from "../../platform/noun/list.ts"
import { fieldsOf, noun, type Thing, visibleToAll } from "../../platform/noun/noun.ts"
import { operation } from "../../platform/operation/operation.ts"
import { associationExists, associationNotFound, namespaceNotFound } from "../faults.ts"
import { namespaceTarget, visibleNamespace } from "../metadef-namespace/namespace.ts"

/** Within its namespace the type names one. */
export const associationNoun = noun({
  name: "image.metadef_association",
  table: sql`image.metadef_association`,
  alias: "a",
  fields: {
    namespaceId: uuid(sql`a.namespace_id`, { filter: true, internal: true }),
    resourceType: text(sql`a.resource_type`, { name: "name", max: 80, create: "required" }),
    /** Stands before the names of the properties on that type. */
    prefix: nullable(text(sql`a.prefix`, { max: 80, create: "required" })),
    propertiesTarget: nullable(text(sql`a.properties_target`, { max: 80, create: "required" })),
    createdAt: time(sql`a.created_at`),
    updatedAt: time(sql`a.updated_at`),
  },
  key: "resourceType",
  order: [{ key: "resourceType", direction: "asc" }],
  /** Who sees the namespace. */
  visible: () => visibleToAll,
  notFound: associationNotFound,
})

export type Association = Thing<typeof associationNoun>
export const AssociationInput = associationNoun.create

/** Of these namespaces, by the type. */
export async function associationsOf(db: DbOrTx, namespaceIds: readonly string[]): Promise<Association[]> {
  return await listThings(db, associationNoun, undefined, { filters: { namespaceId: namespaceIds } })
}

/** Any number, in their order; none when the namespace has one of them already. */
export async function insertAssociations(
  tx: Tx,
  namespace: { id: string; name: string },
  inputs: readonly Static<typeof AssociationInput>[],
  now: Date,
): Promise<Association[]> {
  if (inputs.length === 0) return []
  const said = sql`jsonb_to_recordset(${JSON.stringify(inputs)}::jsonb)
    as d("resourceType" text, prefix text, "propertiesTarget" text)`
  // In one order, so that two requests that name the same types do not wait for each other.
  await sql`insert into image.metadef_resource_type (name, created_at, updated_at)
    select distinct d."resourceType", ${now}::timestamptz, ${now}::timestamptz from ${said} order by 1
    on conflict do nothing`.execute(tx)
  const { rows } = await sql<Association>`insert into image.metadef_association as a
      (namespace_id, resource_type, prefix, properties_target, created_at, updated_at)
    select ${namespace.id}::uuid, d."resourceType", d.prefix, d."propertiesTarget", ${now}::timestamptz,
      ${now}::timestamptz
    from ${said} on conflict do nothing returning ${sql.join(fieldsOf(associationNoun, undefined))}`.execute(
    tx,
  )
  const made = new Map(rows.map((row) => [row.resourceType, row]))
  return inputs.map(({ resourceType }) => {
    const association = made.get(resourceType)
    // Of one that is said twice only the first is inserted.
    if (!association || !made.delete(resourceType)) throw associationExists(resourceType, namespace.name)
    return association
  })
}

export const listAssociations = operation({
  name: "image.metadef_association.list",
  input: Type.Object({ namespace: Type.String() }),
  faults: [namespaceNotFound],
  load: (ctx, { namespace }) => visibleNamespace(ctx, namespace),
  rule: "get_metadef_resource_type",
  target: (_ctx, _input, namespace) => namespaceTarget(namespace),
  run: async (ctx, _input, { id }) => await associationsOf(ctx.db, [id]),
})

export const addAssociation = operation({
  name: "image.metadef_association.add",
  input: Type.Object({ namespace: Type.String(), association: AssociationInput }),
  faults: [namespaceNotFound, associationExists],
  load: (ctx, { namespace }) => visibleNamespace(ctx, namespace),
  rule: "add_metadef_resource_type_association",
  target: (_ctx, _input, namespace) => namespaceTarget(namespace),
  run: async (ctx, { association }, namespace) =>
    await transact(ctx.db, async (tx) => {
      const [made] = await insertAssociations(tx, namespace, [association], ctx.clock.now())
      if (!made) throw associationExists(association.resourceType, namespace.name)
      return made
    }),
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
