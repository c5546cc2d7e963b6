import { sql } from "kysely"
import { Type } from "typebox"
import { operation } from "../../platform/operation/operation.ts"
import { providerNotFound } from "../faults.ts"
import type { Provider } from "../provider/provider.ts"
import { loadProvider } from "../provider/store.ts"

export interface ProviderUsages {
  provider: Provider
  usages: Record<string, number>
}

export const getProviderUsages = operation({
  name: "placement.usage.of_provider",
  input: Type.Object({ providerId: Type.String() }),
  faults: [providerNotFound],
  rule: "placement:resource_providers:usages",
  run: async (ctx, { providerId }): Promise<ProviderUsages> => {
    const provider = await loadProvider(ctx.db, providerId)
    const rows = await ctx.db
      .selectFrom("placement.inventory")
      .select(["resource_class", "used"])
      .where("provider_id", "=", provider.id)
      .orderBy("resource_class")
      .execute()
    return { provider, usages: Object.fromEntries(rows.map((row) => [row.resource_class, row.used])) }
  },
})

export interface TypeUsages {
  consumerType: string | null
  consumerCount: number
  usages: Record<string, number>
}

/** What a project (or one user in it) holds, by type of consumer. */
export const getProjectUsages = operation({
  name: "placement.usage.of_project",
  input: Type.Object({ projectId: Type.String(), userId: Type.Union([Type.String(), Type.Null()]) }),
  rule: "placement:usages",
  target: (_ctx, { projectId }) => ({ project_id: projectId }),
  run: async (ctx, { projectId, userId }): Promise<TypeUsages[]> => {
    const found = await sql<{
      consumer_type: string | null
      consumers: number
      usages: Record<string, number>
    }>`
      with held as (
        select c.consumer_type, c.id, a.resource_class, a.used
        from placement.consumer c join placement.allocation a on a.consumer_id = c.id
        where c.project_id = ${projectId} and (${userId}::text is null or c.user_id = ${userId})
      ), sums as (
        select consumer_type, resource_class, sum(used)::bigint as used from held group by 1, 2
      )
      select s.consumer_type, jsonb_object_agg(s.resource_class, s.used) as usages,
        (select count(distinct h.id) from held h where h.consumer_type is not distinct from s.consumer_type)::bigint
          as consumers
      from sums s group by s.consumer_type`.execute(ctx.db)
    return found.rows.map((row) => ({
      consumerType: row.consumer_type,
      consumerCount: row.consumers,
      usages: row.usages,
    }))
  },
})
