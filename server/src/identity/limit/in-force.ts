// Unified limits as a service reads them that counts its usage by them.
import { type RawBuilder, sql } from "kysely"
import type { Platform } from "../../platform/context/context.ts"
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

/**
 * What a resource is limited to for a project, as a scalar in SQL: its own limit, else the registered one; a region's
 * before all's. Null when nothing is registered.
 */
export function unifiedLimit(wanted: {
  projectId: string
  serviceType: string
  region: string
  resource: RawBuilder<string>
}): RawBuilder<number | null> {
  return sql`(select coalesce(l.resource_limit, g.default_limit)
    from identity.registered_limit g
    join identity.service s on s.id = g.service_id
    left join identity."limit" l on l.registered_limit_id = g.id and l.project_id = ${wanted.projectId}
    where s.type = ${wanted.serviceType} and g.resource_name = ${wanted.resource}
      and (g.region_id is null or g.region_id = ${wanted.region})
    order by g.region_id nulls last limit 1)`
}
