import { sql } from "kysely"
import type { DbOrTx, Tx } from "../../platform/db/database.ts"
import { isUuid } from "../../platform/ids/ids.ts"
import { findThing, loadThing } from "../../platform/noun/list.ts"
import { fieldsOf } from "../../platform/noun/noun.ts"
import { generationConflict, providerNotFound } from "../faults.ts"
import { type Provider, providerNoun } from "./provider.ts"

/** The provider as a statement gives it: `.returning(providerFields).$castTo<Provider>()`. */
export const providerFields = fieldsOf(providerNoun, undefined)

export async function findProvider(db: DbOrTx, id: string): Promise<Provider | undefined> {
  return await findThing(db, providerNoun, undefined, id)
}

export async function loadProvider(db: DbOrTx, id: string): Promise<Provider> {
  return await loadThing(db, providerNoun, undefined, id)
}

/** Until the transaction ends nobody else changes the provider, its inventories, or what is taken of them. */
export async function lockProvider(tx: Tx, id: string): Promise<Provider> {
  if (!isUuid(id)) throw providerNotFound(id)
  const provider = await tx
    .selectFrom("placement.resource_provider")
    .select(providerFields)
    .where("id", "=", id)
    .forUpdate()
    .$castTo<Provider>()
    .executeTakeFirst()
  if (!provider) throw providerNotFound(id)
  return provider
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
  return await tx
    .updateTable("placement.resource_provider")
    .set({ generation: sql`generation + 1`, updated_at: sql`now()` })
    .where("id", "=", id)
    .returning(providerFields)
    .$castTo<Provider>()
    .executeTakeFirstOrThrow()
}
