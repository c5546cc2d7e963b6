import { sql } from "kysely"
import { Type } from "typebox"
import { type DbOrTx, transact } from "../../platform/db/database.ts"
import { operation } from "../../platform/operation/operation.ts"
import { generationConflict, providerNotFound } from "../faults.ts"
import type { Provider } from "../provider/provider.ts"
import { loadProvider, lockProviderAt, raiseGeneration } from "../provider/store.ts"

export interface ProviderAggregates {
  provider: Provider
  aggregateIds: string[]
}

async function readAggregates(db: DbOrTx, providerId: string): Promise<string[]> {
  const rows = await db
    .selectFrom("placement.provider_aggregate")
    .select((eb) => eb.fn.coalesce("as_given", sql<string>`aggregate_id::text`).as("shown"))
    .where("provider_id", "=", providerId)
    .orderBy("aggregate_id")
    .execute()
  return rows.map((row) => row.shown)
}

export const listProviderAggregates = operation({
  name: "placement.provider_aggregate.list",
  input: Type.Object({ providerId: Type.String() }),
  faults: [providerNotFound],
  rule: "placement:resource_providers:aggregates:list",
  run: async (ctx, { providerId }): Promise<ProviderAggregates> => {
    const provider = await loadProvider(ctx.db, providerId)
    return { provider, aggregateIds: await readAggregates(ctx.db, provider.id) }
  },
})

export const setProviderAggregates = operation({
  name: "placement.provider_aggregate.set",
  input: Type.Object({
    providerId: Type.String(),
    /** Null: neither checked nor raised, as before microversion 1.19. */
    generation: Type.Union([Type.Integer(), Type.Null()]),
    /** UUIDs with hyphens or without; shown as they are given. */
    aggregateIds: Type.Array(Type.String()),
  }),
  faults: [providerNotFound, generationConflict],
  rule: "placement:resource_providers:aggregates:update",
  run: async (ctx, { providerId, generation, aggregateIds }): Promise<ProviderAggregates> =>
    await transact(ctx.db, async (tx) => {
      const before = await lockProviderAt(tx, providerId, generation)
      await tx.deleteFrom("placement.provider_aggregate").where("provider_id", "=", before.id).execute()
      await sql`
        insert into placement.provider_aggregate (provider_id, aggregate_id, as_given)
        select ${before.id}::uuid, given::uuid, given from unnest(${aggregateIds}::text[]) as given
        on conflict do nothing`.execute(tx)
      const provider = generation === null ? before : await raiseGeneration(tx, before.id)
      return { provider, aggregateIds: [...new Set(aggregateIds)] }
    }),
})
