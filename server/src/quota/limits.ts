// The limits in force: what operators set, else what the configuration says. -1 is unlimited.
import { type RawBuilder, sql } from "kysely"
import type { Quota } from "../engine/quota.ts"
import type { Config } from "../platform/config/config.ts"
import type { DbOrTx } from "../platform/db/database.ts"
import type {} from "./tables.ts"

export type Limits<R extends string> = Record<R, number>

/** The configuration says the defaults. */
export interface Configured {
  readonly config: Config
}

export interface QuotaOwner {
  projectId: string
  /** Limits of this user within the project's count, too. */
  userId?: string | null
}

export interface LimitRow {
  resource: string
  /** Of the project. */
  value: number
  /** Of the user by name; null for nearly everybody. */
  own: number | null
}

export const resourcesOf = <R extends string>(quota: Quota<R>): readonly R[] =>
  // The record has exactly these keys.
  Object.keys(quota.resources) as R[]

interface LimitScalars {
  value: RawBuilder<number>
  own: RawBuilder<number | null>
}

/** The limits of one resource, found by key, as scalars in SQL. */
function limitScalars(
  { config }: Configured,
  { service, limitOf }: Quota,
  { projectId, userId = null }: QuotaOwner,
  resource: RawBuilder<string>,
  fallback: RawBuilder<number>,
): LimitScalars {
  const kept = limitOf
    ? limitOf({ config, projectId, resource })
    : sql<
        number | null
      >`(select value from quota."limit" where project_id = ${projectId} and service = ${service}
        and resource = ${resource}), ${ofClass("default", service, resource)}`
  const own =
    userId === null
      ? sql<null>`null::bigint`
      : sql<number | null>`(select value from quota.user_limit where project_id = ${projectId}
          and service = ${service} and user_id = ${userId} and resource = ${resource})`
  return { value: sql`coalesce(${kept}, ${fallback})`, own }
}

const ofClass = (className: string, service: string, resource: RawBuilder<string>) =>
  sql<number | null>`(select value from quota.class_limit
    where class_name = ${className} and service = ${service} and resource = ${resource})`

/** One row with a column `limit.cores` and one `own.cores` for each of the resources: see `readLimitColumns`. */
export function limitColumns<R extends string>(
  ctx: Configured,
  quota: Quota<R>,
  owner: QuotaOwner,
  resources: readonly R[],
): RawBuilder<Record<string, number | null>> {
  const columns = resources.map((name) => {
    const fallback = sql<number>`${quota.resources[name].default(ctx.config)}::bigint`
    const { value, own } = limitScalars(ctx, quota, owner, sql`${name}`, fallback)
    return sql`${value} as ${sql.id(`limit.${name}`)}, ${own} as ${sql.id(`own.${name}`)}`
  })
  return sql`select ${sql.join(columns)} offset 0`
}

export function readLimitColumns<R extends string>(
  row: Readonly<Record<string, number | null>>,
  resources: readonly R[],
): LimitRow[] {
  return resources.map((resource) => ({
    resource,
    value: row[`limit.${resource}`] ?? -1,
    own: row[`own.${resource}`] ?? null,
  }))
}

/** What the configuration says alone. */
export function configuredLimits<R extends string>({ config }: Configured, quota: Quota<R>): Limits<R> {
  const entries = resourcesOf(quota).map((resource) => [resource, quota.resources[resource].default(config)])
  return Object.fromEntries(entries) as Limits<R>
}

/** The rows `d` (resource, fallback). */
function configured<R extends string>(config: Config, quota: Quota<R>): RawBuilder<unknown> {
  const rows = Object.entries(configuredLimits({ config }, quota)).map(
    ([resource, limit]) => sql`(${resource}::text, ${limit}::bigint)`,
  )
  return sql`(values ${sql.join(rows)}) as d(resource, fallback)`
}

/** Limits in force for a project; with a user, its own in front of them. */
export async function getLimits<R extends string>(
  ctx: Configured,
  db: DbOrTx,
  quota: Quota<R>,
  owner: QuotaOwner,
): Promise<Limits<R>> {
  const { value, own } = limitScalars(ctx, quota, owner, sql.ref("d.resource"), sql.ref("d.fallback"))
  const { rows } = await sql<LimitRow>`select d.resource, ${value} as value, ${own} as own
    from ${configured(ctx.config, quota)}`.execute(db)
  return toLimits(rows)
}

/** A limit of the user's own stands for the project's. */
function toLimits<R extends string>(rows: readonly LimitRow[]): Limits<R> {
  // One row for each resource.
  return Object.fromEntries(rows.map(({ resource, value, own }) => [resource, own ?? value])) as Limits<R>
}

/** What a class says over the configuration; the class `default` is what projects without limits of their own have. */
export async function getClassLimits<R extends string>(
  { config }: Configured,
  db: DbOrTx,
  quota: Quota<R>,
  className = "default",
): Promise<Limits<R>> {
  const { rows } = await sql<LimitRow>`
    select d.resource, coalesce(${ofClass(className, quota.service, sql.ref("d.resource"))}, d.fallback) as value,
      null as own
    from ${configured(config, quota)}`.execute(db)
  return toLimits(rows)
}

/** The limits in force for each project that has some of its own, in one statement beside the defaults. */
export async function listProjectLimits<R extends string>(
  ctx: Configured,
  db: DbOrTx,
  quota: Quota<R>,
): Promise<{ projectId: string; limits: Limits<R> }[]> {
  const defaults = await getClassLimits(ctx, db, quota)
  const { rows } = await sql<{ projectId: string; own: Partial<Limits<R>> }>`
    select project_id as "projectId", json_object_agg(resource, value) as own from quota."limit"
    where service = ${quota.service} group by project_id order by project_id`.execute(db)
  return rows.map(({ projectId, own }) => ({ projectId, limits: { ...defaults, ...own } }))
}
