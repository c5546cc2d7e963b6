// Objects, properties and tags of a namespace. They differ in what a definition says and in their policy rules.
import type { Selectable } from "kysely"
import { Type } from "typebox"
import { type DbOrTx, jsonb, type Tx, transact, violatedConstraint } from "../../platform/db/database.ts"
import { operation } from "../../platform/operation/operation.ts"
import { metadefItemExists, metadefItemNotFound, namespaceNotFound, namespaceProtected } from "../faults.ts"
import type { MetadefItemTable } from "../tables.ts"
import type { Item, ItemKind } from "./metadef.ts"
import { namespaceTarget, visibleNamespace } from "./visible.ts"

function toItem(row: Selectable<MetadefItemTable>): Item {
  return {
    kind: row.kind,
    name: row.name,
    definition: row.definition,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  }
}

export async function readItems(db: DbOrTx, namespaceId: string): Promise<Item[]> {
  const rows = await db
    .selectFrom("image.metadef_item")
    .selectAll()
    .where("namespace_id", "=", namespaceId)
    .orderBy("created_at")
    .orderBy("name")
    .execute()
  return rows.map(toItem)
}

export async function insertItem(
  tx: Tx,
  namespace: { id: string; name: string },
  kind: ItemKind,
  name: string,
  definition: Readonly<Record<string, unknown>>,
  now: Date,
): Promise<Item> {
  const row = await tx
    .insertInto("image.metadef_item")
    .values({
      namespace_id: namespace.id,
      kind,
      name,
      definition: jsonb(definition),
      created_at: now,
      updated_at: now,
    })
    .onConflict((oc) => oc.doNothing())
    .returningAll()
    .executeTakeFirst()
  if (!row) throw metadefItemExists(kind, name, namespace.name)
  return toItem(row)
}

interface ItemRules {
  list: string
  show: string
  create: string
  update: string
  remove: string
  /** Removing all of them. */
  clear: readonly string[]
}

const Namespace = Type.Object({ namespace: Type.String() })
const Named = Type.Object({ namespace: Type.String(), name: Type.String() })
const Definition = Type.Record(Type.String(), Type.Unknown())

/** The operations on one kind of item. */
function itemOperations(kind: ItemKind, rules: ItemRules) {
  const noun = `image.metadef_${kind}`
  return {
    list: operation({
      name: `${noun}.list`,
      input: Namespace,
      faults: [namespaceNotFound],
      load: (ctx, { namespace }) => visibleNamespace(ctx, namespace),
      rule: rules.list,
      target: (_ctx, _input, namespace) => namespaceTarget(namespace),
      run: async (ctx, _input, { id }): Promise<Item[]> =>
        (await readItems(ctx.db, id)).filter((item) => item.kind === kind),
    }),
    show: operation({
      name: `${noun}.show`,
      input: Named,
      faults: [namespaceNotFound, metadefItemNotFound],
      load: (ctx, { namespace }) => visibleNamespace(ctx, namespace),
      rule: rules.show,
      target: (_ctx, _input, namespace) => namespaceTarget(namespace),
      run: async (ctx, { namespace, name }, { id }): Promise<Item> => {
        const item = (await readItems(ctx.db, id)).find((i) => i.kind === kind && i.name === name)
        if (!item) throw metadefItemNotFound(kind, name, namespace)
        return item
      },
    }),
    create: operation({
      name: `${noun}.create`,
      input: Type.Object({ ...Named.properties, definition: Definition }),
      faults: [namespaceNotFound, metadefItemExists],
      load: (ctx, { namespace }) => visibleNamespace(ctx, namespace),
      rule: rules.create,
      target: (_ctx, _input, namespace) => namespaceTarget(namespace),
      run: async (ctx, { name, definition }, namespace): Promise<Item> =>
        await transact(ctx.db, (tx) => insertItem(tx, namespace, kind, name, definition, ctx.clock.now())),
    }),
    update: operation({
      name: `${noun}.update`,
      input: Type.Object({ ...Named.properties, newName: Type.String(), definition: Definition }),
      faults: [namespaceNotFound, metadefItemNotFound, metadefItemExists],
      load: (ctx, { namespace }) => visibleNamespace(ctx, namespace),
      rule: rules.update,
      target: (_ctx, _input, namespace) => namespaceTarget(namespace),
      run: async (ctx, { namespace, name, newName, definition }, { id }): Promise<Item> => {
        try {
          const row = await ctx.db
            .updateTable("image.metadef_item")
            .set({ name: newName, definition: jsonb(definition), updated_at: ctx.clock.now() })
            .where("namespace_id", "=", id)
            .where("kind", "=", kind)
            .where("name", "=", name)
            .returningAll()
            .executeTakeFirst()
          if (!row) throw metadefItemNotFound(kind, name, namespace)
          return toItem(row)
        } catch (error) {
          if (violatedConstraint(error) === "metadef_item_pkey")
            throw metadefItemExists(kind, newName, namespace)
          throw error
        }
      },
    }),
    remove: operation({
      name: `${noun}.remove`,
      input: Named,
      faults: [namespaceNotFound, metadefItemNotFound],
      load: (ctx, { namespace }) => visibleNamespace(ctx, namespace),
      rule: rules.remove,
      target: (_ctx, _input, namespace) => namespaceTarget(namespace),
      run: async (ctx, { namespace, name }, { id }): Promise<void> => {
        const gone = await ctx.db
          .deleteFrom("image.metadef_item")
          .where("namespace_id", "=", id)
          .where("kind", "=", kind)
          .where("name", "=", name)
          .executeTakeFirst()
        if (gone.numDeletedRows === 0n) throw metadefItemNotFound(kind, name, namespace)
      },
    }),
    clear: operation({
      name: `${noun}.clear`,
      input: Namespace,
      faults: [namespaceNotFound, namespaceProtected],
      load: (ctx, { namespace }) => visibleNamespace(ctx, namespace),
      rules: rules.clear,
      authorize: (_ctx, _input, namespace) =>
        rules.clear.map((rule) => [rule, namespaceTarget(namespace)] as const),
      run: async (ctx, _input, namespace): Promise<void> => {
        if (namespace.isProtected) throw namespaceProtected(namespace.name)
        await ctx.db
          .deleteFrom("image.metadef_item")
          .where("namespace_id", "=", namespace.id)
          .where("kind", "=", kind)
          .execute()
      },
    }),
  }
}

export const metadefObjects = itemOperations("object", {
  list: "get_metadef_objects",
  show: "get_metadef_object",
  create: "add_metadef_object",
  update: "modify_metadef_object",
  remove: "delete_metadef_object",
  clear: ["delete_metadef_namespace"],
})

export const metadefProperties = itemOperations("property", {
  list: "get_metadef_properties",
  show: "get_metadef_property",
  create: "add_metadef_property",
  update: "modify_metadef_property",
  remove: "remove_metadef_property",
  clear: ["delete_metadef_namespace"],
})

export const metadefTags = itemOperations("tag", {
  list: "get_metadef_tags",
  show: "get_metadef_tag",
  create: "add_metadef_tag",
  update: "modify_metadef_tag",
  remove: "delete_metadef_tag",
  clear: ["delete_metadef_namespace", "delete_metadef_tags"],
})

/** Sets the tags of a namespace, or adds to them. */
export const setMetadefTags = operation({
  name: "image.metadef_tag.set",
  input: Type.Object({
    namespace: Type.String(),
    names: Type.Array(Type.String()),
    isAppend: Type.Boolean(),
  }),
  faults: [namespaceNotFound, metadefItemExists],
  load: (ctx, { namespace }) => visibleNamespace(ctx, namespace),
  rule: "add_metadef_tags",
  target: (_ctx, _input, namespace) => namespaceTarget(namespace),
  run: async (ctx, { names, isAppend }, namespace): Promise<Item[]> =>
    await transact(ctx.db, async (tx) => {
      if (!isAppend) {
        await tx
          .deleteFrom("image.metadef_item")
          .where("namespace_id", "=", namespace.id)
          .where("kind", "=", "tag")
          .execute()
      }
      const items: Item[] = []
      for (const name of names) items.push(await insertItem(tx, namespace, "tag", name, {}, ctx.clock.now()))
      return items
    }),
})
