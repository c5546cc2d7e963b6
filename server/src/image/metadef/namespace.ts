import { sql } from "kysely"
import { type Static, Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { type DbOrTx, transact, violatedConstraint } from "../../platform/db/database.ts"
import { pageClauses, type SortColumns } from "../../platform/db/page.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { type Authorization, operation } from "../../platform/operation/operation.ts"
import {
  associationExists,
  metadefItemExists,
  namespaceExists,
  namespaceNotFound,
  namespaceProtected,
} from "../faults.ts"
import { isAdmin } from "../image/store.ts"
import { AssociationInput, insertAssociation, readAssociations } from "./association.ts"
import { insertItem, readItems } from "./item.ts"
import type { Association, Item, ItemKind, Namespace } from "./metadef.ts"
import { type NamespaceRow, namespaceTarget, toNamespace, visibleNamespace } from "./visible.ts"

export interface NamespaceDetail extends Namespace {
  objects: Item[]
  properties: Item[]
  tags: Item[]
  associations: Association[]
}

async function detail(db: DbOrTx, namespace: Namespace): Promise<NamespaceDetail> {
  const items = await readItems(db, namespace.id)
  const of = (kind: ItemKind) => items.filter((item) => item.kind === kind)
  return {
    ...namespace,
    objects: of("object"),
    properties: of("property"),
    tags: of("tag"),
    associations: await readAssociations(db, namespace.id),
  }
}

const Fields = {
  name: Type.String(),
  displayName: Type.Union([Type.String(), Type.Null()]),
  description: Type.Union([Type.String(), Type.Null()]),
  visibility: Type.Union([Type.Literal("public"), Type.Literal("private")]),
  isProtected: Type.Boolean(),
  /** Absent: the caller's. */
  projectId: Type.Optional(Type.String()),
}

const NewItem = Type.Object({ name: Type.String(), definition: Type.Record(Type.String(), Type.Unknown()) })

const CreateInput = Type.Object({
  ...Fields,
  objects: Type.Array(NewItem),
  properties: Type.Array(NewItem),
  tags: Type.Array(NewItem),
  associations: Type.Array(AssociationInput),
})

export const createNamespace = operation({
  name: "image.metadef_namespace.create",
  input: CreateInput,
  faults: [namespaceExists, metadefItemExists, associationExists],
  rules: [
    "add_metadef_namespace",
    "add_metadef_resource_type_association",
    "add_metadef_object",
    "add_metadef_property",
    "add_metadef_tag",
  ],
  authorize: (ctx, input) => {
    const target = { project_id: ctx.caller.projectId }
    const needed: [string, readonly unknown[]][] = [
      ["add_metadef_resource_type_association", input.associations],
      ["add_metadef_object", input.objects],
      ["add_metadef_property", input.properties],
      ["add_metadef_tag", input.tags],
    ]
    const rules = needed.filter(([, list]) => list.length > 0).map(([rule]): Authorization => [rule, target])
    return [["add_metadef_namespace", target], ...rules]
  },
  run: async (ctx, input): Promise<NamespaceDetail> => {
    const now = ctx.clock.now()
    return await transact(ctx.db, async (tx) => {
      const row = await tx
        .insertInto("image.metadef_namespace")
        .values({ id: newUuid(), ...columns(ctx, input), created_at: now, updated_at: now })
        .onConflict((oc) => oc.column("name").doNothing())
        .returningAll()
        .executeTakeFirst()
      if (!row) throw namespaceExists(input.name)
      const namespace = toNamespace(row)
      const lists: [ItemKind, Static<typeof NewItem>[]][] = [
        ["object", input.objects],
        ["property", input.properties],
        ["tag", input.tags],
      ]
      for (const [kind, items] of lists)
        for (const item of items) await insertItem(tx, namespace, kind, item.name, item.definition, now)
      for (const association of input.associations) await insertAssociation(tx, namespace, association, now)
      return await detail(tx, namespace)
    })
  },
})

function columns(
  ctx: Ctx,
  input: Omit<Static<typeof CreateInput>, "objects" | "properties" | "tags" | "associations">,
) {
  return {
    name: input.name,
    display_name: input.displayName,
    description: input.description,
    visibility: input.visibility,
    is_protected: input.isProtected,
    project_id: input.projectId ?? ctx.caller.projectId,
  }
}

export const showNamespace = operation({
  name: "image.metadef_namespace.show",
  input: Type.Object({ namespace: Type.String() }),
  faults: [namespaceNotFound],
  load: (ctx, { namespace }) => visibleNamespace(ctx, namespace),
  rules: [
    // Who may not is told that there is none.
    "get_metadef_namespace",
    "list_metadef_resource_types",
    "get_metadef_objects",
    "get_metadef_properties",
    "get_metadef_tags",
  ],
  authorize: (_ctx, _input, namespace) => [
    ["list_metadef_resource_types", namespaceTarget(namespace)],
    ["get_metadef_objects", namespaceTarget(namespace)],
    ["get_metadef_properties", namespaceTarget(namespace)],
    ["get_metadef_tags", namespaceTarget(namespace)],
  ],
  run: async (ctx, _input, namespace): Promise<NamespaceDetail> => await detail(ctx.db, namespace),
})

export const updateNamespace = operation({
  name: "image.metadef_namespace.update",
  input: Type.Object({ namespace: Type.String(), ...Fields }),
  faults: [namespaceNotFound, namespaceExists],
  load: (ctx, { namespace }) => visibleNamespace(ctx, namespace),
  rule: "modify_metadef_namespace",
  target: (_ctx, _input, namespace) => namespaceTarget(namespace),
  run: async (ctx, input, { id }): Promise<Namespace> => {
    try {
      const row = await ctx.db
        .updateTable("image.metadef_namespace")
        .set({ ...columns(ctx, input), updated_at: ctx.clock.now() })
        .where("id", "=", id)
        .returningAll()
        .executeTakeFirst()
      if (!row) throw namespaceNotFound(input.namespace)
      return toNamespace(row)
    } catch (error) {
      if (violatedConstraint(error) === "metadef_namespace_name_key") throw namespaceExists(input.name)
      throw error
    }
  },
})

export const deleteNamespace = operation({
  name: "image.metadef_namespace.delete",
  input: Type.Object({ namespace: Type.String() }),
  faults: [namespaceNotFound, namespaceProtected],
  load: (ctx, { namespace }) => visibleNamespace(ctx, namespace),
  rule: "delete_metadef_namespace",
  target: (_ctx, _input, namespace) => namespaceTarget(namespace),
  run: async (ctx, _input, { id, name }): Promise<void> => {
    const gone = await ctx.db
      .deleteFrom("image.metadef_namespace")
      .where("id", "=", id)
      .where("is_protected", "=", false)
      .executeTakeFirst()
    if (gone.numDeletedRows > 0n) return
    await visibleNamespace(ctx, name)
    throw namespaceProtected(name)
  },
})

const sortColumns: SortColumns = {
  created_at: { column: sql`n.created_at` },
  updated_at: { column: sql`n.updated_at` },
  namespace: { column: sql`n.name` },
  id: { column: sql`n.id` },
}

export const namespaceSortKeys: readonly string[] = Object.keys(sortColumns)

export interface ListedNamespace extends Namespace {
  associations: Association[]
}

export const listNamespaces = operation({
  name: "image.metadef_namespace.list",
  input: Type.Object({
    visibility: Type.Union([Type.Literal("public"), Type.Literal("private"), Type.Null()]),
    /** With one of these types. */
    resourceTypes: Type.Union([Type.Array(Type.String()), Type.Null()]),
    limit: Type.Integer({ minimum: 0 }),
    /** Name of a namespace. */
    marker: Type.Union([Type.String(), Type.Null()]),
    sortKey: Type.String(),
    direction: Type.Union([Type.Literal("asc"), Type.Literal("desc")]),
  }),
  faults: [namespaceNotFound],
  rules: ["get_metadef_namespaces", "list_metadef_resource_types"],
  authorize: (ctx) => {
    const target = { project_id: ctx.caller.projectId }
    return [
      ["get_metadef_namespaces", target],
      ["list_metadef_resource_types", target],
    ]
  },
  run: async (ctx, input): Promise<{ namespaces: ListedNamespace[]; nextMarker: string | null }> => {
    const marker = input.marker === null ? null : await visibleNamespace(ctx, input.marker)
    const markerRow = marker && {
      id: marker.id,
      namespace: marker.name,
      created_at: marker.createdAt,
      updated_at: marker.updatedAt,
    }
    if (!namespaceSortKeys.includes(input.sortKey))
      throw invalid(
        "sort_key",
        `Invalid sort key: ${input.sortKey}. It must be one of ${namespaceSortKeys.join(", ")}.`,
      )
    const sorts = [{ key: input.sortKey, direction: input.direction }]
    const page = pageClauses({ sorts, isReverse: false }, sortColumns, "id", markerRow)
    const seen = isAdmin(ctx)
      ? sql`true`
      : sql`(n.visibility = 'public' or n.project_id = ${ctx.caller.projectId})`
    const found = await sql<NamespaceRow>`
      select n.* from image.metadef_namespace n where ${seen}
        and (${input.visibility}::text is null or n.visibility = ${input.visibility})
        and (${input.resourceTypes}::text[] is null or exists (select from image.metadef_association a
          where a.namespace_id = n.id and a.resource_type = any(${input.resourceTypes}::text[])))
        and ${page.where}
      order by ${page.orderBy} limit ${input.limit}`.execute(ctx.db)
    const rows = found.rows.map(toNamespace)
    const associations = await readAssociations(ctx.db, ...rows.map((row) => row.id))
    const namespaces = rows
      .filter((row) => ctx.policy.isAllowed(ctx.caller, "get_metadef_namespace", namespaceTarget(row)))
      .map((row) => ({ ...row, associations: associations.filter((a) => a.namespaceId === row.id) }))
    const last = namespaces.at(-1)
    return { namespaces, nextMarker: rows.length === input.limit && last ? last.name : null }
  },
})
