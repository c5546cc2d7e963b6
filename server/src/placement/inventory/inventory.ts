import { sql } from "kysely"
import { Type } from "typebox"
import { type DbOrTx, type Tx, transact, violatedConstraint } from "../../platform/db/database.ts"
import { columnsOf, field, integer, text, uuid } from "../../platform/noun/field.ts"
import { listThings } from "../../platform/noun/list.ts"
import { type Create, noun, visibleToAll } from "../../platform/noun/noun.ts"
import { operation } from "../../platform/operation/operation.ts"
import {
  generationConflict,
  inventoryExists,
  inventoryInUse,
  inventoryInvalid,
  inventoryMissing,
  inventoryNotFound,
  providerNotFound,
  resourceClassUnknown,
} from "../faults.ts"
import type { Provider } from "../provider/provider.ts"
import { loadProvider, lockProvider, lockProviderAt, raiseGeneration } from "../provider/store.ts"
import { checkResourceClasses } from "../resource-class/resource-class.ts"

const given = { create: "required", update: true } as const

/** What a provider has of a class of resources; within the provider the class names it. */
export const inventoryNoun = noun({
  name: "placement.inventory",
  table: sql`placement.inventory`,
  alias: "i",
  fields: {
    providerId: uuid(sql`i.provider_id`, { filter: true, internal: true }),
    resourceClass: text(sql`i.resource_class`, { filter: true, internal: true }),
    total: integer(sql`i.total`, given),
    reserved: integer(sql`i.reserved`, given),
    minUnit: integer(sql`i.min_unit`, given),
    maxUnit: integer(sql`i.max_unit`, given),
    stepSize: integer(sql`i.step_size`, given),
    allocationRatio: field("other", Type.Number(), sql`i.allocation_ratio`, given),
  },
  key: "resourceClass",
  order: [{ key: "resourceClass", direction: "asc" }],
  visible: () => visibleToAll,
  notFound: inventoryNotFound,
})

export const Inventory = inventoryNoun.create
export type Inventory = Create<typeof inventoryNoun>

export interface ProviderInventories {
  provider: Provider
  inventories: Record<string, Inventory>
}

/** Whether all of it may be reserved, as since microversion 1.26. */
const MayReserveAll = Type.Boolean()

async function inventoriesOf(
  db: DbOrTx,
  providerId: string,
  resourceClasses?: readonly string[],
): Promise<Record<string, Inventory>> {
  const filters = { providerId: [providerId], ...(resourceClasses && { resourceClass: resourceClasses }) }
  const found = await listThings(db, inventoryNoun, undefined, { filters })
  return Object.fromEntries(found.map((inventory) => [inventory.resourceClass, inventory]))
}

async function findInventory(
  db: DbOrTx,
  providerId: string,
  resourceClass: string,
): Promise<Inventory | undefined> {
  return Object.values(await inventoriesOf(db, providerId, [resourceClass]))[0]
}

export function checkInventory(
  providerId: string,
  resourceClass: string,
  inventory: Inventory,
  mayReserveAll: boolean,
): void {
  const capacity = Math.trunc((inventory.total - inventory.reserved) * inventory.allocationRatio)
  if (capacity > Number.MAX_SAFE_INTEGER)
    throw inventoryInvalid(
      resourceClass,
      providerId,
      "The allocation_ratio makes more of the total than can be counted.",
    )
  if (mayReserveAll ? capacity >= 0 : capacity > 0) return
  const why = `The reserved value is greater than ${mayReserveAll ? "" : "or equal to "}total.`
  throw inventoryInvalid(resourceClass, providerId, why)
}

/** Adds and changes; what is not named stays. The provider is locked. */
export async function upsertInventories(
  tx: Tx,
  providerId: string,
  inventories: Readonly<Record<string, Inventory>>,
): Promise<void> {
  const rows = Object.entries(inventories).map(([resourceClass, i]) => ({
    ...columnsOf(i),
    resource_class: resourceClass,
  }))
  await sql`
    insert into placement.inventory
      (provider_id, resource_class, total, reserved, min_unit, max_unit, step_size, allocation_ratio)
    select ${providerId}::uuid, r.* from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as r
      (resource_class text, total bigint, reserved bigint, min_unit bigint, max_unit bigint, step_size bigint,
       allocation_ratio double precision)
    on conflict (provider_id, resource_class) do update set total = excluded.total, reserved = excluded.reserved,
      min_unit = excluded.min_unit, max_unit = excluded.max_unit, step_size = excluded.step_size,
      allocation_ratio = excluded.allocation_ratio, updated_at = now()`.execute(tx)
}

/** Removes the classes that are not in `keep`. The provider is locked. */
export async function removeOtherInventories(
  tx: Tx,
  providerId: string,
  keep: readonly string[],
): Promise<void> {
  const used = await sql<{ resource_class: string }>`
    select resource_class from placement.inventory
    where provider_id = ${providerId} and resource_class <> all(${[...keep]}::text[]) and used > 0
    order by resource_class`.execute(tx)
  if (used.rows.length > 0)
    throw inventoryInUse(used.rows.map((row) => row.resource_class).join(", "), providerId)
  await sql`
    delete from placement.inventory
    where provider_id = ${providerId} and resource_class <> all(${[...keep]}::text[])`.execute(tx)
}

export const listInventories = operation({
  name: "placement.inventory.list",
  input: Type.Object({ providerId: Type.String() }),
  faults: [providerNotFound],
  rule: "placement:resource_providers:inventories:list",
  run: async (ctx, { providerId }): Promise<ProviderInventories> => {
    const provider = await loadProvider(ctx.db, providerId)
    return { provider, inventories: await inventoriesOf(ctx.db, provider.id) }
  },
})

export interface ProviderInventory {
  provider: Provider
  inventory: Inventory
}

export const getInventory = operation({
  name: "placement.inventory.get",
  input: Type.Object({ providerId: Type.String(), resourceClass: Type.String() }),
  faults: [providerNotFound, inventoryNotFound],
  rule: "placement:resource_providers:inventories:show",
  run: async (ctx, { providerId, resourceClass }): Promise<ProviderInventory> => {
    const provider = await loadProvider(ctx.db, providerId)
    const inventory = await findInventory(ctx.db, provider.id, resourceClass)
    if (!inventory) throw inventoryNotFound(resourceClass, providerId)
    return { provider, inventory }
  },
})

const One = Type.Object({
  providerId: Type.String(),
  resourceClass: Type.String(),
  inventory: Inventory,
  mayReserveAll: MayReserveAll,
})

export const createInventory = operation({
  name: "placement.inventory.create",
  input: One,
  faults: [providerNotFound, inventoryExists, inventoryInvalid, resourceClassUnknown],
  rule: "placement:resource_providers:inventories:create",
  run: async (ctx, { providerId, resourceClass, inventory, mayReserveAll }): Promise<ProviderInventory> =>
    await transact(ctx.db, async (tx) => {
      const { id } = await lockProvider(tx, providerId)
      checkInventory(id, resourceClass, inventory, mayReserveAll)
      await checkResourceClasses(tx, [resourceClass], "Unknown resource class in inventory")
      if (await findInventory(tx, id, resourceClass)) throw inventoryExists(resourceClass, id)
      await upsertInventories(tx, id, { [resourceClass]: inventory })
      return { provider: await raiseGeneration(tx, id), inventory }
    }),
})

export const updateInventory = operation({
  name: "placement.inventory.update",
  input: Type.Object({ ...One.properties, generation: Type.Integer() }),
  faults: [providerNotFound, generationConflict, inventoryMissing, inventoryInvalid],
  rule: "placement:resource_providers:inventories:update",
  run: async (ctx, input): Promise<ProviderInventory> =>
    await transact(ctx.db, async (tx) => {
      const { resourceClass, inventory } = input
      const { id } = await lockProviderAt(tx, input.providerId, input.generation)
      checkInventory(id, resourceClass, inventory, input.mayReserveAll)
      if (!(await findInventory(tx, id, resourceClass))) throw inventoryMissing(resourceClass, id)
      await upsertInventories(tx, id, { [resourceClass]: inventory })
      return { provider: await raiseGeneration(tx, id), inventory }
    }),
})

export const replaceInventories = operation({
  name: "placement.inventory.replace",
  input: Type.Object({
    providerId: Type.String(),
    generation: Type.Integer(),
    inventories: Type.Record(Type.String(), Inventory),
    mayReserveAll: MayReserveAll,
  }),
  faults: [providerNotFound, generationConflict, inventoryInvalid, inventoryInUse, resourceClassUnknown],
  rule: "placement:resource_providers:inventories:update",
  run: async (ctx, input): Promise<ProviderInventories> =>
    await transact(ctx.db, async (tx) => {
      const { id } = await lockProviderAt(tx, input.providerId, input.generation)
      for (const [resourceClass, inventory] of Object.entries(input.inventories))
        checkInventory(id, resourceClass, inventory, input.mayReserveAll)
      const names = Object.keys(input.inventories)
      await checkResourceClasses(tx, names, "Unknown resource class in inventory")
      await removeOtherInventories(tx, id, names)
      await upsertInventories(tx, id, input.inventories)
      return { provider: await raiseGeneration(tx, id), inventories: await inventoriesOf(tx, id) }
    }),
})

export const deleteInventories = operation({
  name: "placement.inventory.delete",
  input: Type.Object({
    providerId: Type.String(),
    /** Null: all of them. */
    resourceClass: Type.Union([Type.String(), Type.Null()]),
  }),
  faults: [providerNotFound, inventoryNotFound, inventoryInUse],
  rule: "placement:resource_providers:inventories:delete",
  run: async (ctx, { providerId, resourceClass }): Promise<void> =>
    await transact(ctx.db, async (tx) => {
      const { id } = await lockProvider(tx, providerId)
      const names = Object.keys(await inventoriesOf(tx, id))
      if (resourceClass !== null && !names.includes(resourceClass))
        throw inventoryNotFound(resourceClass, providerId)
      const keep = resourceClass === null ? [] : names.filter((name) => name !== resourceClass)
      try {
        await removeOtherInventories(tx, id, keep)
      } catch (error) {
        if (violatedConstraint(error)) throw inventoryInUse(resourceClass ?? "any class", id)
        throw error
      }
      await raiseGeneration(tx, id)
    }),
})
