import { type Selectable, sql } from "kysely"
import type { DbOrTx, Tx } from "../../platform/db/database.ts"
import { isUuid } from "../../platform/ids/ids.ts"
import { generationConflict, providerNotFound } from "../faults.ts"
import type { ResourceProviderTable } from "../tables.ts"
import type { Provider } from "./provider.ts"

export function toProvider(row: Selectable<ResourceProviderTable>): Provider {
  return {
    id: row.id,
    name: row.name,
    generation: row.generation,
    parentId: row.parent_id,
    rootId: row.root_id,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  }
}

export async function findProvider(db: DbOrTx, id: string): Promise<Provider | undefined> {
  if (!isUuid(id)) return undefined
  const row = await db
    .selectFrom("placement.resource_provider")
    .selectAll()
    .where("id", "=", id)
    .executeTakeFirst()
  return row && toProvider(row)
}

export async function getProvider(db: DbOrTx, id: string): Promise<Provider> {
  const found = await findProvider(db, id)
  if (!found) throw providerNotFound(id)
  return found
}

/** Until the transaction ends nobody else changes the provider, its inventories, or what is taken of them. */
export async function lockProvider(tx: Tx, id: string): Promise<Provider> {
  if (!isUuid(id)) throw providerNotFound(id)
  const row = await tx
    .selectFrom("placement.resource_provider")
    .selectAll()
    .where("id", "=", id)
    .forUpdate()
    .executeTakeFirst()
  if (!row) throw providerNotFound(id)
  return toProvider(row)
}

/** Locks it and checks that the caller has seen its newest state (null: does not matter to the caller). */
export async function lockProviderAt(tx: Tx, id: string, generation: number | null): Promise<Provider> {
  const provider = await lockProvider(tx, id)
  if (generation !== null && provider.generation !== generation)
    throw generationConflict(id, generation, provider.generation)
  return provider
}

/** After a change of a locked provider. */
export async function raiseGeneration(tx: Tx, id: string): Promise<Provider> {
  const row = await tx
    .updateTable("placement.resource_provider")
    .set({ generation: sql`generation + 1`, updated_at: sql`now()` })
    .where("id", "=", id)
    .returningAll()
    .executeTakeFirstOrThrow()
  return toProvider(row)
}
