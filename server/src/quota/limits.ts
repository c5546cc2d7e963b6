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

/** A statement with a `LimitRow` for each of the resources, each found by its key. */
export function limitRows<R extends string>(
  { config }: Configured,
  quota: Quota<R>,
  owner: QuotaOwner,
  resources: readonly R[],
): RawBuilder<LimitRow> {
  const { service, limitOf } = quota
  const { projectId, userId } = owner
  const resource = sql.ref<string>("d.resource")
  const kept = limitOf
    ? limitOf({ config, projectId, resource })
    : sql<number | null>`(select value from quota."limit"
        where project_id = ${projectId} and service = ${service} and resource = d.resource),
      ${ofClass("default", service)}`
  const own =
    userId === undefined || userId === null
      ? sql`null::bigint`
      : sql`(select value from quota.user_limit where project_id = ${projectId} and service = ${service}
          and user_id = ${userId} and resource = d.resource)`
  return sql<LimitRow>`select d.resource, coalesce(${kept}, d.fallback) as value, ${own} as own
    from ${configured(config, quota, resources)}`
}

const ofClass = (className: string, service: string) =>
  sql<number | null>`(select value from quota.class_limit
    where class_name = ${className} and service = ${service} and resource = d.resource)`

/** What the configuration says alone. */
export function configuredLimits<R extends string>({ config }: Configured, quota: Quota<R>): Limits<R> {
  const entries = resourcesOf(quota).map((resource) => [resource, quota.resources[resource].default(config)])
  return Object.fromEntries(entries) as Limits<R>
}

/** The rows `d` (resource, fallback). */
function configured<R extends string>(
  config: Config,
  quota: Quota<R>,
  resources: readonly R[],
): RawBuilder<unknown> {
  const defaults = resources.map((resource) => quota.resources[resource].default(config))
  return sql`unnest(${resources}::text[], ${defaults}::bigint[]) as d(resource, fallback)`
}

/** Limits in force for a project; with a user, its own in front of them. */
export async function getLimits<R extends string>(
  ctx: Configured,
  db: DbOrTx,
  quota: Quota<R>,
  owner: QuotaOwner,
): Promise<Limits<R>> {
  const { rows } = await limitRows(ctx, quota, owner, resourcesOf(quota)).execute(db)
  return toLimits(rows)
}

/** A limit of the user's own stands for the project's. */
export function toLimits<R extends string>(rows: readonly LimitRow[]): Limits<R> {
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
    select d.resource, coalesce(${ofClass(className, quota.service)}, d.fallback) as value, null as own
    from ${configured(config, quota, resourcesOf(quota))}`.execute(db)
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
