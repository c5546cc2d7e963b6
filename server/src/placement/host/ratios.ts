import { sql } from "kysely"
import type { Tx } from "../../platform/db/database.ts"

/** Host → resource class → overcommit ratio. */
export type HostRatios = ReadonlyMap<string, Readonly<Record<string, number>>>

/** Sets the ratios of what these hosts have; what is in use stays in use, also where it is more than there is now. */
export async function setHostRatios(tx: Tx, ratios: HostRatios): Promise<void> {
  const rows = [...ratios].flatMap(([provider_id, byClass]) =>
    Object.entries(byClass).map(([resource_class, ratio]) => ({ provider_id, resource_class, ratio })),
  )
  if (rows.length === 0) return
  // The provider's row first, by id, as every writer.
  await sql`
    with wanted as materialized (
      select * from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb)
        as w (provider_id uuid, resource_class text, ratio double precision)
    ), differing as materialized (
      select w.* from wanted w join placement.inventory i using (provider_id, resource_class)
      where i.allocation_ratio <> w.ratio
    ), host as materialized (
      select id from placement.resource_provider where id in (select provider_id from differing)
      order by id for update
    ), changed as (
      update placement.inventory i set allocation_ratio = d.ratio, updated_at = now() from differing d, host
      where host.id = d.provider_id and i.provider_id = d.provider_id and i.resource_class = d.resource_class
    )
    update placement.resource_provider p set generation = p.generation + 1, updated_at = now()
    from host where p.id = host.id`.execute(tx)
}
