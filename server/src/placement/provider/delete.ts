import { Type } from "typebox"
import { transact, violatedConstraint } from "../../platform/db/database.ts"
import { operation } from "../../platform/operation/operation.ts"
import { providerHasChildren, providerInUse, providerNotFound } from "../faults.ts"
import { lockProvider } from "./store.ts"

export const deleteProvider = operation({
  name: "placement.provider.delete",
  input: Type.Object({ providerId: Type.String() }),
  faults: [providerNotFound, providerHasChildren, providerInUse],
  rule: "placement:resource_providers:delete",
  run: async (ctx, { providerId }): Promise<void> =>
    await transact(ctx.db, async (tx) => {
      const { id } = await lockProvider(tx, providerId)
      try {
        const child = await tx
          .selectFrom("placement.resource_provider")
          .select("id")
          .where("parent_id", "=", id)
          .executeTakeFirst()
        if (child) throw providerHasChildren(id)
        await tx.deleteFrom("placement.resource_provider").where("id", "=", id).execute()
      } catch (error) {
        const constraint = violatedConstraint(error)
        if (constraint?.startsWith("allocation_")) throw providerInUse(id)
        if (constraint === "resource_provider_parent_id_fkey") throw providerHasChildren(id)
        throw error
      }
    }),
})
