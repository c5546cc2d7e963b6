import { sql } from "kysely"
import { Type } from "typebox"
import { transact } from "../../platform/db/database.ts"
import { isUuid } from "../../platform/ids/ids.ts"
import { operation } from "../../platform/operation/operation.ts"
import {
  allocationImpossible,
  allocationNotFound,
  allocationProviderUnknown,
  consumerGenerationConflict,
  generationConflict,
  inventoryInUse,
  inventoryInvalid,
  providerNotFound,
  reshapeProviderUnknown,
  resourceClassUnknown,
} from "../faults.ts"
import {
  checkInventory,
  Inventory,
  removeOtherInventories,
  upsertInventories,
} from "../inventory/inventory.ts"
import type { Provider } from "../provider/provider.ts"
import { findProvider, loadProvider, lockProviderAt, raiseGeneration } from "../provider/store.ts"
import { checkResourceClasses } from "../resource-class/resource-class.ts"
import { releaseAllocation } from "./claim.ts"
import { ConsumerAllocations, writeAllocations } from "./write.ts"

export interface HeldByConsumer {
  consumerId: string
  projectId: string
  userId: string
  consumerType: string | null
  generation: number
  /** Provider → what is held of it. */
  allocations: Record<string, { generation: number; resources: Record<string, number> }>
}

/** What a consumer holds; null when nothing, which is the same as when there is no such consumer. */
export const listConsumerAllocations = operation({
  name: "placement.allocation.list",
  input: Type.Object({ consumerId: Type.String() }),
  rule: "placement:allocations:list",
  run: async (ctx, { consumerId }): Promise<HeldByConsumer | null> => {
    if (!isUuid(consumerId)) return null
    const found = await sql<{
      project_id: string
      user_id: string
      consumer_type: string | null
      generation: number
      provider_id: string
      provider_generation: number
      resource_class: string
      used: number
    }>`
      select c.project_id, c.user_id, c.consumer_type, c.generation, a.provider_id,
        p.generation as provider_generation, a.resource_class, a.used
      from placement.consumer c join placement.allocation a on a.consumer_id = c.id
      join placement.resource_provider p on p.id = a.provider_id
      where c.id = ${consumerId} order by a.provider_id, a.resource_class`.execute(ctx.db)
    const first = found.rows[0]
    if (!first) return null
    const allocations: HeldByConsumer["allocations"] = {}
    for (const row of found.rows) {
      const entry = allocations[row.provider_id] ?? { generation: row.provider_generation, resources: {} }
      entry.resources[row.resource_class] = row.used
      allocations[row.provider_id] = entry
    }
    return {
      consumerId,
      projectId: first.project_id,
      userId: first.user_id,
      consumerType: first.consumer_type,
      generation: first.generation,
      allocations,
    }
  },
})

export interface HeldOfProvider {
  provider: Provider
  /** Consumer → what it holds. */
  consumers: Record<string, { generation: number; resources: Record<string, number> }>
}

export const listProviderAllocations = operation({
  name: "placement.provider_allocation.list",
  input: Type.Object({ providerId: Type.String() }),
  faults: [providerNotFound],
  rule: "placement:resource_providers:allocations:list",
  run: async (ctx, { providerId }): Promise<HeldOfProvider> => {
    const provider = await loadProvider(ctx.db, providerId)
    const found = await sql<{
      consumer_id: string
      generation: number
      resource_class: string
      used: number
    }>`
      select a.consumer_id, c.generation, a.resource_class, a.used
      from placement.allocation a join placement.consumer c on c.id = a.consumer_id
      where a.provider_id = ${provider.id} order by a.consumer_id, a.resource_class`.execute(ctx.db)
    const consumers: HeldOfProvider["consumers"] = {}
    for (const row of found.rows) {
      const entry = consumers[row.consumer_id] ?? { generation: row.generation, resources: {} }
      entry.resources[row.resource_class] = row.used
      consumers[row.consumer_id] = entry
    }
    return { provider, consumers }
  },
})

const writeFaults = [
  allocationImpossible,
  allocationProviderUnknown,
  consumerGenerationConflict,
  resourceClassUnknown,
]

export const setConsumerAllocations = operation({
  name: "placement.allocation.set",
  input: ConsumerAllocations,
  faults: writeFaults,
  rule: "placement:allocations:update",
  run: async (ctx, consumer): Promise<void> =>
    await transact(ctx.db, (tx) => writeAllocations(tx, [consumer])),
})

/** Several consumers at once: all or none. */
export const manageAllocations = operation({
  name: "placement.allocation.manage",
  input: Type.Object({ consumers: Type.Array(ConsumerAllocations) }),
  faults: writeFaults,
  rule: "placement:allocations:manage",
  run: async (ctx, { consumers }): Promise<void> =>
    await transact(ctx.db, (tx) => writeAllocations(tx, consumers)),
})

export const deleteConsumerAllocations = operation({
  name: "placement.allocation.delete",
  input: Type.Object({ consumerId: Type.String() }),
  faults: [allocationNotFound],
  rule: "placement:allocations:delete",
  run: async (ctx, { consumerId }): Promise<void> => {
    const isReleased =
      isUuid(consumerId) && (await transact(ctx.db, (tx) => releaseAllocation(tx, consumerId)))
    if (!isReleased) throw allocationNotFound(consumerId)
  },
})

/** Moves inventories between providers together with what is held of them. */
export const reshape = operation({
  name: "placement.reshaper.reshape",
  input: Type.Object({
    inventories: Type.Record(
      Type.String(),
      Type.Object({ generation: Type.Integer(), inventories: Type.Record(Type.String(), Inventory) }),
    ),
    consumers: Type.Array(ConsumerAllocations),
  }),
  faults: [...writeFaults, reshapeProviderUnknown, generationConflict, inventoryInUse, inventoryInvalid],
  rule: "placement:reshaper:reshape",
  run: async (ctx, { inventories, consumers }): Promise<void> =>
    await transact(ctx.db, async (tx) => {
      const providers = Object.entries(inventories).sort(([a], [b]) => (a < b ? -1 : 1))
      for (const [providerId, wanted] of providers) {
        if (!(await findProvider(tx, providerId))) throw reshapeProviderUnknown(providerId)
        await lockProviderAt(tx, providerId, wanted.generation)
        await checkResourceClasses(tx, Object.keys(wanted.inventories), "malformed reshaper data")
        for (const [resourceClass, inventory] of Object.entries(wanted.inventories))
          checkInventory(providerId, resourceClass, inventory, true)
        // First only what is new: the old one must stay until nobody holds anything of it.
        await upsertInventories(tx, providerId, wanted.inventories)
        await raiseGeneration(tx, providerId)
      }
      await writeAllocations(tx, consumers)
      for (const [providerId, wanted] of providers) {
        await removeOtherInventories(tx, providerId, Object.keys(wanted.inventories))
        await raiseGeneration(tx, providerId)
      }
    }),
})
