import { Type } from "typebox"
import type { DbOrTx } from "../../platform/db/database.ts"
import { ListQuery, listThings } from "../../platform/noun/list.ts"
import { type Listed, listed } from "../../platform/noun/page.ts"
import { operation } from "../../platform/operation/operation.ts"
import { namespaceNotFound } from "../faults.ts"
import { imageViewerOf } from "../image/store.ts"
import { type Item, type ItemKind, itemsOf } from "../metadef-item/item.ts"
import { type Association, associationsOf } from "../metadef-resource-type/association.ts"
import { type Namespace, namespaceNoun, namespaceTarget, visibleNamespace } from "./namespace.ts"

export interface NamespaceDetail extends Namespace {
  objects: Item[]
  properties: Item[]
  tags: Item[]
  associations: Association[]
}

/** All that it consists of. */
export async function detailOf(db: DbOrTx, namespace: Namespace): Promise<NamespaceDetail> {
  const items = await itemsOf(db, namespace.id)
  const of = (kind: ItemKind) => items.filter((item) => item.kind === kind)
  return {
    ...namespace,
    objects: of("object"),
    properties: of("property"),
    tags: of("tag"),
    associations: await associationsOf(db, [namespace.id]),
  }
}

export const getNamespace = operation({
  name: "image.metadef_namespace.get",
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
  run: async (ctx, _input, namespace): Promise<NamespaceDetail> => await detailOf(ctx.db, namespace),
})

export interface ListedNamespace extends Namespace {
  associations: Association[]
}

export const listNamespaces = operation({
  name: "image.metadef_namespace.list",
  input: ListQuery,
  // The one that a page begins after.
  faults: [namespaceNotFound],
  rules: ["get_metadef_namespaces", "list_metadef_resource_types"],
  authorize: (ctx) => {
    const target = { project_id: ctx.caller.projectId }
    return [
      ["get_metadef_namespaces", target],
      ["list_metadef_resource_types", target],
    ]
  },
  run: async (ctx, query): Promise<Listed<ListedNamespace>> => {
    const rows = await listThings(ctx.db, namespaceNoun, imageViewerOf(ctx), query)
    const ids = rows.map((row) => row.id)
    const associations = Map.groupBy(await associationsOf(ctx.db, ids), (a) => a.namespaceId)
    return listed(
      rows.map((row) => ({ ...row, associations: associations.get(row.id) ?? [] })),
      (row) => row.name,
      (row) => ctx.policy.isAllowed(ctx.caller, "get_metadef_namespace", namespaceTarget(row)),
    )
  },
})
