// The catalog as a token shows it. Cached as JSON text by project: most of a token's answer is this.
import { sql } from "kysely"
import type { Platform } from "../../platform/context/context.ts"

export interface CatalogEndpoint {
  id: string
  interface: string
  region_id: string | null
  region: string | null
  url: string
}

export interface CatalogService {
  id: string
  type: string
  name: string
  endpoints: CatalogEndpoint[]
}

interface Viewer {
  userId: string
  projectId: string | null
}

interface EndpointRow {
  id: string
  interface: string
  region_id: string | null
  url: string
}

interface ServiceRow {
  id: string
  type: string
  name: string | null
  endpoints: EndpointRow[]
}

export async function catalogJson(platform: Platform, viewer: Viewer): Promise<string> {
  const { cache } = platform.drivers.identity
  const key = viewer.projectId ?? ""
  const known = cache.getCatalog(key)
  if (known !== undefined) return known
  const epoch = cache.epoch
  const rows = await readServices(platform, viewer.projectId)
  const json = JSON.stringify(showCatalog(rows, viewer))
  const isPersonal = rows.some((s) => s.endpoints.some((e) => userPattern.test(e.url)))
  if (!isPersonal) cache.storeCatalog(key, json, epoch)
  return json
}

export async function readCatalog(platform: Platform, viewer: Viewer): Promise<CatalogService[]> {
  return showCatalog(await readServices(platform, viewer.projectId), viewer)
}

/** A project that has endpoints of its own (associated, or by a group's filter) sees these only. */
async function readServices(platform: Platform, projectId: string | null): Promise<ServiceRow[]> {
  const own = sql`select e.id from identity.endpoint e join identity.service s on s.id = e.service_id
    where e.id in (select endpoint_id from identity.project_endpoint where project_id = ${projectId})
      or exists (select 1 from identity.project_endpoint_group pg
        join identity.endpoint_group g on g.id = pg.endpoint_group_id
        where pg.project_id = ${projectId}
          and (g.filters->>'interface' is null or g.filters->>'interface' = e.interface)
          and (g.filters->>'service_id' is null or g.filters->>'service_id' = e.service_id)
          and (g.filters->>'region_id' is null or g.filters->>'region_id' = e.region_id))`
  const result = await sql<ServiceRow>`
    with own as (${own}),
    rule as (select exists (select 1 from identity.project_endpoint where project_id = ${projectId})
      or exists (select 1 from identity.project_endpoint_group where project_id = ${projectId}) as is_filtered)
    select s.id, s.type, s.name, coalesce(jsonb_agg(jsonb_build_object('id', e.id, 'interface', e.interface,
        'region_id', e.region_id, 'url', e.url) order by e.created_at, e.interface)
        filter (where e.id is not null), '[]') as endpoints
    from identity.service s
    cross join rule
    left join identity.endpoint e on e.service_id = s.id and e.is_enabled
      and (not rule.is_filtered or e.id in (select id from own))
    where s.is_enabled
    group by s.id, s.type, s.name, s.created_at
    having count(e.id) > 0 or not bool_or(rule.is_filtered)
    order by s.created_at, s.type`.execute(platform.db)
  return result.rows
}

const userPattern = /[$%]\(user_id\)s/
const variable = /[$%]\(([a-z_]+)\)s/g

function showCatalog(services: readonly ServiceRow[], viewer: Viewer): CatalogService[] {
  const facts: Readonly<Record<string, string | null>> = {
    project_id: viewer.projectId,
    tenant_id: viewer.projectId,
    user_id: viewer.userId,
  }
  return services.map((service) => ({
    endpoints: service.endpoints.flatMap((endpoint): CatalogEndpoint[] => {
      const url = fillUrl(endpoint.url, facts)
      if (url === null) return []
      const { id, region_id } = endpoint
      return [{ id, interface: endpoint.interface, region_id, url, region: region_id }]
    }),
    id: service.id,
    type: service.type,
    name: service.name ?? "",
  }))
}

/** Null when the URL wants a fact that this viewer has not: such an endpoint is left out. */
export function fillUrl(url: string, facts: Readonly<Record<string, string | null>>): string | null {
  let isWhole = true
  const filled = url.replaceAll(variable, (_all, name: string) => {
    const value = facts[name]
    if (value === null || value === undefined) isWhole = false
    return value ?? ""
  })
  return isWhole ? filled : null
}
