// Objects, properties and tags of a namespace. They differ in what a definition says and in their policy rules.
import { sql } from "kysely"
import { Type } from "typebox"
import { type DbOrTx, jsonb, type Tx, transact, violatedConstraint } from "../../platform/db/database.ts"
import { structure, text, time, uuid, word } from "../../platform/noun/field.ts"
import { type Filters, listThings } from "../../platform/noun/list.ts"
import { fieldsOf, noun, type Thing, visibleToAll } from "../../platform/noun/noun.ts"
import { operation } from "../../platform/operation/operation.ts"
import { metadefItemExists, metadefItemNotFound, namespaceNotFound, namespaceProtected } from "../faults.ts"
import { namespaceTarget, visibleNamespace } from "../metadef-namespace/namespace.ts"

export const itemKinds = ["object", "property", "tag"] as const
export type ItemKind = (typeof itemKinds)[number]

/** A tag is a name only; the others have a definition. Within its namespace kind and name name one. */
export const itemNoun = noun({
  name: "image.metadef_item",
  table: sql`image.metadef_item`,
  alias: "i",
  fields: {
    namespaceId: uuid(sql`i.namespace_id`, { filter: true, internal: true }),
    kind: word(itemKinds, sql`i.kind`, { filter: true, internal: true }),
    name: text(sql`i.name`, { max: 80, filter: true }),
    definition: structure(Type.Record(Type.String(), Type.Unknown()), sql`i.definition`),
    createdAt: time(sql`i.created_at`),
    updatedAt: time(sql`i.updated_at`),
  },
  key: "name",
  /** Who sees the namespace. */
  visible: () => visibleToAll,
  notFound: metadefItemNotFound,
})

export type Item = Thing<typeof itemNoun>

export async function itemsOf(db: DbOrTx, namespaceId: string, filters: Filters = {}): Promise<Item[]> {
  return await listThings(db, itemNoun, undefined, { filters: { namespaceId: [namespaceId], ...filters } })
}

export interface NewItem {
  name: string
  definition: Readonly<Record<string, unknown>>
}

/** Any number of one kind, in their order; none when one of them is there already. */
export async function insertItems(
  tx: Tx,
  namespace: { id: string; name: string },
  kind: ItemKind,
  items: readonly NewItem[],
  now: Date,
): Promise<Item[]> {
  if (items.length === 0) return []
  const { rows } = await sql<Item>`insert into image.metadef_item as i
      (namespace_id, kind, name, definition, created_at, updated_at)
    select ${namespace.id}::uuid, ${kind}, d.name, d.definition, ${now}::timestamptz, ${now}::timestamptz
    from jsonb_to_recordset(${JSON.stringify(items)}::jsonb) as d(name text, definition jsonb)
    on conflict do nothing returning ${sql.join(fieldsOf(itemNoun, undefined))}`.execute(tx)
  const made = new Map(rows.map((row) => [row.name, row]))
  return items.map(({ name }) => {
    const item = made.get(name)
    // Of one that is said twice only the first is inserted.
    if (!item || !made.delete(name)) throw metadefItemExists(kind, name, namespace.name)
    return item
  })
}

interface ItemRules {
  list: string
  get: string
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
  const prefix = `image.metadef_${kind}`
  return {
    list: operation({
      name: `${prefix}.list`,
      input: Namespace,
      faults: [namespaceNotFound],
      load: (ctx, { namespace }) => visibleNamespace(ctx, namespace),
      rule: rules.list,
      target: (_ctx, _input, namespace) => namespaceTarget(namespace),
      run: async (ctx, _input, { id }): Promise<Item[]> => await itemsOf(ctx.db, id, { kind: [kind] }),
    }),
    get: operation({
      name: `${prefix}.get`,
      input: Named,
      faults: [namespaceNotFound, metadefItemNotFound],
      load: (ctx, { namespace }) => visibleNamespace(ctx, namespace),
      rule: rules.get,
      target: (_ctx, _input, namespace) => namespaceTarget(namespace),
      run: async (ctx, { namespace, name }, { id }): Promise<Item> => {
        const [item] = await itemsOf(ctx.db, id, { kind: [kind], name: [name] })
        if (!item) throw metadefItemNotFound(name, kind, namespace)
        return item
      },
    }),
    create: operation({
      name: `${prefix}.create`,
      input: Type.Object({ ...Named.properties, definition: Definition }),
      faults: [namespaceNotFound, metadefItemExists],
      load: (ctx, { namespace }) => visibleNamespace(ctx, namespace),
      rule: rules.create,
      target: (_ctx, _input, namespace) => namespaceTarget(namespace),
      run: async (ctx, { name, definition }, namespace): Promise<Item> =>
        await transact(ctx.db, async (tx) => {
          const [item] = await insertItems(tx, namespace, kind, [{ name, definition }], ctx.clock.now())
          if (!item) throw metadefItemExists(kind, name, namespace.name)
          return item
        }),
    }),
    update: operation({
      name: `${prefix}.update`,
      input: Type.Object({ ...Named.properties, newName: Type.String(), definition: Definition }),
      faults: [namespaceNotFound, metadefItemNotFound, metadefItemExists],
      load: (ctx, { namespace }) => visibleNamespace(ctx, namespace),
      rule: rules.update,
      target: (_ctx, _input, namespace) => namespaceTarget(namespace),
      run: async (ctx, { namespace, name, newName, definition }, { id }): Promise<Item> => {
        try {
          const row = await ctx.db
            .updateTable("image.metadef_item as i")
            .set({ name: newName, definition: jsonb(definition), updated_at: ctx.clock.now() })
            .where("i.namespace_id", "=", id)
            .where("i.kind", "=", kind)
            .where("i.name", "=", name)
            .returning(fieldsOf(itemNoun, undefined))
            .$castTo<Item>()
            .executeTakeFirst()
          if (!row) throw metadefItemNotFound(name, kind, namespace)
          return row
        } catch (error) {
          if (violatedConstraint(error) === "metadef_item_pkey")
            throw metadefItemExists(kind, newName, namespace)
          throw error
        }
      },
    }),
    remove: operation({
      name: `${prefix}.remove`,
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
        if (gone.numDeletedRows === 0n) throw metadefItemNotFound(name, kind, namespace)
      },
    }),
    clear: operation({
      name: `${prefix}.clear`,
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
  get: "get_metadef_object",
  create: "add_metadef_object",
  update: "modify_metadef_object",
  remove: "delete_metadef_object",
  clear: ["delete_metadef_namespace"],
})

export const metadefProperties = itemOperations("property", {
  list: "get_metadef_properties",
  get: "get_metadef_property",
  create: "add_metadef_property",
  update: "modify_metadef_property",
  remove: "remove_metadef_property",
  clear: ["delete_metadef_namespace"],
})

export const metadefTags = itemOperations("tag", {
  list: "get_metadef_tags",
  get: "get_metadef_tag",
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
      const items = names.map((name) => ({ name, definition: {} }))
      return await insertItems(tx, namespace, "tag", items, ctx.clock.now())
    }),
})
