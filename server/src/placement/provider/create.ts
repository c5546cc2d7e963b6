import { type Tx, transact, violatedConstraint } from "../../platform/db/database.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { operation } from "../../platform/operation/operation.ts"
import { providerNameTaken, providerTreeInvalid } from "../faults.ts"
import { type Provider, providerNoun } from "./provider.ts"
import { findProvider, lockProvider, providerFields } from "./store.ts"

export const createProvider = operation({
  name: "placement.provider.create",
  input: providerNoun.create,
  faults: [providerNameTaken, providerTreeInvalid],
  rule: "placement:resource_providers:create",
  run: async (ctx, input): Promise<Provider> => {
    const id = input.id ?? newUuid()
    return await transact(ctx.db, async (tx) => {
      const parent = await newParent(tx, id, input.parentId)
      try {
        return await tx
          .insertInto("placement.resource_provider")
          .values({ id, name: input.name, parent_id: parent?.id ?? null, root_id: parent?.rootId ?? id })
          .returning(providerFields)
          .$castTo<Provider>()
          .executeTakeFirstOrThrow()
      } catch (error) {
        const constraint = violatedConstraint(error)
        if (constraint === "resource_provider_pkey") throw providerNameTaken(`uuid: ${id}`)
        if (constraint === "resource_provider_name_key") throw providerNameTaken(`name: ${input.name}`)
        throw error
      }
    })
  },
})

async function newParent(tx: Tx, id: string, parentId: string | null): Promise<Provider | null> {
  if (parentId === null) return null
  if (parentId === id) {
    const why =
      "parent provider UUID cannot be same as UUID. Please set parent provider UUID to None if there is no parent."
    throw providerTreeInvalid(id, why)
  }
  const parent = await findProvider(tx, parentId)
  if (!parent) throw providerTreeInvalid(id, "parent provider UUID does not exist.")
  // Held, so that it neither goes nor moves before this one hangs below it.
  return await lockProvider(tx, parent.id)
}
