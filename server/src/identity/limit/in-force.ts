// Unified limits as a service reads them that counts its usage by them.
import { sql } from "kysely"
import type { Platform } from "../../platform/context/context.ts"
import type { DbOrTx } from "../../platform/db/database.ts"
import { newHexId } from "../../platform/ids/ids.ts"

/** Makes the registered limits that are missing in this region; those that an operator changed stay as they are. */
export async function ensureRegisteredLimits(
  { db, config }: Pick<Platform, "db" | "config">,
  serviceType: string,
  defaults: Readonly<Record<string, number>>,
): Promise<void> {
  for (const [name, limit] of Object.entries(defaults)) {
    await sql`insert into identity.registered_limit (id, service_id, region_id, resource_name, default_limit)
      select ${newHexId()}, s.id, ${config.region}, ${name}, ${Math.min(limit, limitMost)}
      from identity.service s where s.type = ${serviceType} order by s.id limit 1
      on conflict do nothing`.execute(db)
  }
}

const limitMost = 0x7fff_ffff

/** What each resource is limited to for a project: its own limit, else the registered one; a region's before all's. */
export async function unifiedLimits(
  db: DbOrTx,
  wanted: { projectId: string; serviceType: string; region: string },
): Promise<Record<string, number>> {
  const { rows } = await sql<{ resource: string; value: number }>`
    select g.resource_name as resource, coalesce(l.resource_limit, g.default_limit) as value
    from identity.registered_limit g
    join identity.service s on s.id = g.service_id
    left join identity."limit" l on l.registered_limit_id = g.id and l.project_id = ${wanted.projectId}
    where s.type = ${wanted.serviceType} and (g.region_id is null or g.region_id = ${wanted.region})
    order by g.region_id nulls first`.execute(db)
  return Object.fromEntries(rows.map((row) => [row.resource, row.value]))
}
