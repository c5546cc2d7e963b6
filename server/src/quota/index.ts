// Limits of projects, for every service. A service counts its own usage; this one knows limits and the rule
// "used + asked ≤ limit" under a lock, so that a burst of requests cannot pass it together.
import { type RawBuilder, sql } from "kysely"
import type { DbOrTx, Tx } from "../platform/db/database.ts"
import { fault } from "../platform/fault/fault.ts"
import type {} from "./tables.ts"

/** Resource → limit; -1 is unlimited. */
export type Limits = Record<string, number>

export interface QuotaScope {
  projectId: string
  /** `compute`, `network`, `block_storage` … */
  service: string
}

const defaultsByService = new Map<string, Limits>()

/** Each service says its resources and their defaults (from its configuration) at start. */
export function declareQuotaDefaults(service: string, defaults: Limits): void {
  defaultsByService.set(service, { ...defaults })
}

type LimitSource = (db: DbOrTx, projectId: string) => Promise<Limits>

const sourcesByService = new Map<string, LimitSource>()

/** For a service whose limits are kept elsewhere; its defaults are for what is not found there. */
export function declareLimitSource(service: string, source: LimitSource): void {
  sourcesByService.set(service, source)
}

/** Defaults of a service: the configuration's, replaced by what the class `default` says. */
export async function getDefaultLimits(db: DbOrTx, service: string): Promise<Limits> {
  return { ...defaultsByService.get(service), ...(await getClassLimits(db, "default", service)) }
}

/** What a quota class sets itself; empty when nobody set anything. */
export async function getClassLimits(db: DbOrTx, className: string, service: string): Promise<Limits> {
  const rows = await db
    .selectFrom("quota.class_limit")
    .select(["resource", "value"])
    .where("class_name", "=", className)
    .where("service", "=", service)
    .execute()
  return Object.fromEntries(rows.map((row) => [row.resource, row.value]))
}

export async function setClassLimits(
  tx: Tx,
  className: string,
  service: string,
  limits: Limits,
): Promise<void> {
  for (const [resource, value] of Object.entries(limits)) {
    await tx
      .insertInto("quota.class_limit")
      .values({ class_name: className, service, resource, value })
      .onConflict((oc) =>
        oc.columns(["class_name", "service", "resource"]).doUpdateSet({ value, updated_at: sql`now()` }),
      )
      .execute()
  }
}

/** Limits in force for a project: its own over the defaults. */
export async function getLimits(db: DbOrTx, scope: QuotaScope): Promise<Limits> {
  const source = sourcesByService.get(scope.service)
  if (source) return { ...defaultsByService.get(scope.service), ...(await source(db, scope.projectId)) }
  // One statement: this stands in the path of every create.
  const rows = await sql<{ resource: string; value: number }>`
    select distinct on (resource) resource, value from (
      select resource, value, 1 as rank from quota."limit" where project_id = ${scope.projectId} and service = ${scope.service}
      union all
      select resource, value, 2 from quota.class_limit where class_name = 'default' and service = ${scope.service}
    ) found order by resource, rank`.execute(db)
  return {
    ...defaultsByService.get(scope.service),
    ...Object.fromEntries(rows.rows.map((r) => [r.resource, r.value])),
  }
}

/** Sets some limits of a project; the others stay. */
export async function setLimits(tx: Tx, scope: QuotaScope, limits: Limits): Promise<void> {
  for (const [resource, value] of Object.entries(limits)) {
    await tx
      .insertInto("quota.limit")
      .values({ project_id: scope.projectId, service: scope.service, resource, value })
      .onConflict((oc) =>
        oc.columns(["project_id", "service", "resource"]).doUpdateSet({ value, updated_at: sql`now()` }),
      )
      .execute()
  }
}

/** Back to the defaults. */
export async function resetLimits(tx: Tx, scope: QuotaScope): Promise<void> {
  await tx
    .deleteFrom("quota.limit")
    .where("project_id", "=", scope.projectId)
    .where("service", "=", scope.service)
    .execute()
}

/** The limits in force for each project that has some of its own, in one statement beside the defaults. */
export async function listProjectLimits(
  db: DbOrTx,
  service: string,
): Promise<{ projectId: string; limits: Limits }[]> {
  const defaults = await getDefaultLimits(db, service)
  const { rows } = await sql<{ projectId: string; limits: Limits }>`
    select project_id as "projectId", json_object_agg(resource, value) as limits from quota."limit"
    where service = ${service} group by project_id order by project_id`.execute(db)
  return rows.map(({ projectId, limits }) => ({ projectId, limits: { ...defaults, ...limits } }))
}

export interface QuotaShortage {
  resource: string
  asked: number
  used: number
  limit: number
}

export const quotaExceeded = fault(
  "over_quota",
  "quota.exceeded",
  (shortages: QuotaShortage[]) =>
    `Quota exceeded for ${shortages.map((s) => s.resource).join(", ")}: Requested ${shortages.map((s) => s.asked).join(", ")}, ` +
    `but already used ${shortages.map((s) => s.used).join(", ")} of ${shortages.map((s) => s.limit).join(", ")} ` +
    `${shortages.map((s) => s.resource).join(", ")}`,
  (shortages) => ({ shortages }),
)

/** `{ instances: { add: 1, used: () => count } }`. A function, so that nobody counts before the lock is held. */
export type QuotaWanted = Record<string, { add: number; used: () => number | Promise<number> }>

function lockKey({ service, projectId }: QuotaScope): RawBuilder<unknown> {
  return sql`hashtextextended(${`quota:${service}:${projectId}`}, 0)`
}

/** Serialises the quota decisions of one project in one service until the transaction ends. */
export async function lockQuota(tx: Tx, scope: QuotaScope): Promise<void> {
  await sql`select pg_advisory_xact_lock(${lockKey(scope)})`.execute(tx)
}

/**
 * The limit of one resource in force. Where there is one (not -1), the project's quota is locked as `lockQuota` does,
 * in the same statement: what is counted after it is right until the transaction ends.
 */
export async function lockLimit(tx: Tx, scope: QuotaScope, resource: string): Promise<number> {
  const { projectId, service } = scope
  const fallback = defaultsByService.get(service)?.[resource] ?? -1
  const { rows } = await sql<{ value: number }>`
    select value, case when value >= 0 then pg_advisory_xact_lock(${lockKey(scope)}) end from (select coalesce(
      (select value from quota."limit" where project_id = ${projectId} and service = ${service}
        and resource = ${resource}),
      (select value from quota.class_limit where class_name = 'default' and service = ${service}
        and resource = ${resource}),
      ${fallback}::integer) as value offset 0) l`.execute(tx)
  return rows[0]?.value ?? fallback
}

/** Throws `quota.exceeded` naming every resource that is short. Holds the lock until the transaction ends. */
export async function enforceQuota(tx: Tx, request: QuotaScope & { wanted: QuotaWanted }): Promise<void> {
  await lockQuota(tx, request)
  await checkQuota(await getLimits(tx, request), request.wanted)
}

/** The same for whoever holds the lock and has read the limits under it. */
export async function checkQuota(limits: Limits, wanted: QuotaWanted): Promise<void> {
  const shortages: QuotaShortage[] = []
  for (const [resource, { add, used }] of Object.entries(wanted)) {
    const limit = limits[resource] ?? -1
    if (limit < 0) continue
    const usedNow = await used()
    if (usedNow + add > limit) shortages.push({ resource, asked: add, used: usedNow, limit })
  }
  if (shortages.length > 0) throw quotaExceeded(shortages)
}
