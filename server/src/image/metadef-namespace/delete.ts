import { Type } from "typebox"
import { operation } from "../../platform/operation/operation.ts"
import { namespaceNotFound, namespaceProtected } from "../faults.ts"
import { namespaceTarget, visibleNamespace } from "./namespace.ts"

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
