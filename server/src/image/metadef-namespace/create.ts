import { type Static, Type } from "typebox"
import { transact } from "../../platform/db/database.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { insertThing } from "../../platform/noun/list.ts"
import { type Authorization, operation } from "../../platform/operation/operation.ts"
import { associationExists, metadefItemExists, namespaceExists } from "../faults.ts"
import { everybody } from "../image/image.ts"
import { type ItemKind, insertItems } from "../metadef-item/item.ts"
import { AssociationInput, insertAssociations } from "../metadef-resource-type/association.ts"
import { columnsOfSaid, namespaceFields, namespaceNoun } from "./namespace.ts"
import { detailOf, type NamespaceDetail } from "./read.ts"

const NewItem = Type.Object({ name: Type.String(), definition: Type.Record(Type.String(), Type.Unknown()) })

const Input = Type.Object({
  ...namespaceFields,
  objects: Type.Array(NewItem),
  properties: Type.Array(NewItem),
  tags: Type.Array(NewItem),
  associations: Type.Array(AssociationInput),
})

export const createNamespace = operation({
  name: "image.metadef_namespace.create",
  input: Input,
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
      const values = { id: newUuid(), ...columnsOfSaid(ctx, input), created_at: now, updated_at: now }
      const constraint = "metadef_namespace_name_key"
      const namespace = await insertThing(tx, namespaceNoun, everybody, { values, constraint })
      if (!namespace) throw namespaceExists(input.name)
      const lists: [ItemKind, Static<typeof NewItem>[]][] = [
        ["object", input.objects],
        ["property", input.properties],
        ["tag", input.tags],
      ]
      for (const [kind, items] of lists) await insertItems(tx, namespace, kind, items, now)
      await insertAssociations(tx, namespace, input.associations, now)
      return await detailOf(tx, namespace)
    })
  },
})
