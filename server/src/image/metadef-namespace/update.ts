import { Type } from "typebox"
import { violatedConstraint } from "../../platform/db/database.ts"
import { fieldsOf } from "../../platform/noun/noun.ts"
import { operation } from "../../platform/operation/operation.ts"
import { namespaceExists, namespaceNotFound } from "../faults.ts"
import { everybody } from "../image/image.ts"
import {
  columnsOfSaid,
  type Namespace,
  namespaceFields,
  namespaceNoun,
  namespaceTarget,
  visibleNamespace,
} from "./namespace.ts"

export const updateNamespace = operation({
  name: "image.metadef_namespace.update",
  input: Type.Object({ namespace: Type.String(), ...namespaceFields }),
  faults: [namespaceNotFound, namespaceExists],
  load: (ctx, { namespace }) => visibleNamespace(ctx, namespace),
  rule: "modify_metadef_namespace",
  target: (_ctx, _input, namespace) => namespaceTarget(namespace),
  run: async (ctx, input, { id }): Promise<Namespace> => {
    try {
      const namespace = await ctx.db
        .updateTable("image.metadef_namespace as n")
        .set({ ...columnsOfSaid(ctx, input), updated_at: ctx.clock.now() })
        .where("n.id", "=", id)
        .returning(fieldsOf(namespaceNoun, everybody))
        .$castTo<Namespace>()
        .executeTakeFirst()
      if (!namespace) throw namespaceNotFound(input.namespace)
      return namespace
    } catch (error) {
      if (violatedConstraint(error) === "metadef_namespace_name_key") throw namespaceExists(input.name)
      throw error
    }
  },
})
