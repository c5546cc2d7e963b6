// What operators set: limits of a project, of a user within it, of a class.
import { sql } from "kysely"
import type { Quota } from "../engine/quota.ts"
import type { Tx } from "../platform/db/database.ts"
import { type Configured, getLimits, type Limits, type QuotaOwner } from "./limits.ts"
import { lockProject } from "./lock.ts"
import { checkSettable, type LimitRefusals } from "./settable.ts"
import type {} from "./tables.ts"
import { readQuota } from "./use.ts"

/** Sets some limits of a project, or of a user within it; the others stay. Without refusals whatever they are. */
export async function setLimits<R extends string>(
  ctx: Configured,
  tx: Tx,
  quota: Quota<R>,
  owner: QuotaOwner,
  limits: Partial<Limits<R>>,
  refusals?: LimitRefusals,
): Promise<void> {
  const { projectId, userId = null } = owner
  const { service } = quota
  await lockProject(tx, quota, projectId)
  if (refusals) {
    const { used } = await readQuota(ctx, tx, quota, owner)
    const ofUsers = await getUserLimits(tx, quota, owner)
    const project = await getLimits(ctx, tx, quota, { projectId })
    checkSettable(limits, { used, limits: project, ...ofUsers }, refusals)
  }
  const [names, values] = [Object.keys(limits), Object.values(limits)]
  if (names.length === 0) return
  const wanted = sql`unnest(${names}::text[], ${values}::bigint[]) as w(resource, value)`
  if (userId === null)
    await sql`insert into quota."limit" (project_id, service, resource, value)
      select ${projectId}, ${service}, resource, value from ${wanted}
      on conflict (project_id, service, resource) do update set value = excluded.value, updated_at = now()`.execute(
      tx,
    )
  else
    await sql`insert into quota.user_limit (project_id, user_id, service, resource, value)
      select ${projectId}, ${userId}, ${service}, resource, value from ${wanted}
      on conflict (project_id, service, user_id, resource)
        do update set value = excluded.value, updated_at = now()`.execute(tx)
}

interface UserLimits<R extends string> {
  /** What the project's users have by name, all together. */
  given: Partial<Limits<R>>
  /** What the user has by name; null when no user is asked for. */
  own: Partial<Limits<R>> | null
}

async function getUserLimits<R extends string>(
  tx: Tx,
  { service }: Quota<R>,
  { projectId, userId = null }: QuotaOwner,
): Promise<UserLimits<R>> {
  const { rows } = await sql<{ resource: R; given: number; own: number | null }>`
    select resource, sum(greatest(value, 0))::bigint as given, max(value) filter (where user_id = ${userId}) as own
    from quota.user_limit where project_id = ${projectId} and service = ${service} group by resource`.execute(
    tx,
  )
  const given: Partial<Limits<R>> = {}
  const own: Partial<Limits<R>> = {}
  for (const row of rows) {
    given[row.resource] = row.given
    if (row.own !== null) own[row.resource] = row.own
  }
  return { given, own: userId === null ? null : own }
}

/** Back to the defaults, for all users too; of one user only when one is named. */
export async function resetLimits<R extends string>(
  tx: Tx,
  quota: Quota<R>,
  owner: QuotaOwner,
): Promise<void> {
  const { projectId, userId = null } = owner
  await tx
    .deleteFrom("quota.user_limit")
    .where("project_id", "=", projectId)
    .where("service", "=", quota.service)
    .$if(userId !== null, (q) => q.where("user_id", "=", userId ?? ""))
    .execute()
  if (userId !== null) return
  await tx
    .deleteFrom("quota.limit")
    .where("project_id", "=", projectId)
    .where("service", "=", quota.service)
    .execute()
}

export async function setClassLimits<R extends string>(
  tx: Tx,
  { service }: Quota<R>,
  className: string,
  limits: Partial<Limits<R>>,
): Promise<void> {
  await sql`insert into quota.class_limit (class_name, service, resource, value)
    select ${className}, ${service}, resource, value
    from unnest(${Object.keys(limits)}::text[], ${Object.values(limits)}::bigint[]) as w(resource, value)
    on conflict (class_name, service, resource) do update set value = excluded.value, updated_at = now()`.execute(
    tx,
  )
}

/** What was limited is no more: nobody has limits for it, of any kind. */
export async function forgetResources(
  tx: Tx,
  { service }: Quota,
  resources: readonly string[],
): Promise<void> {
  for (const table of ["quota.limit", "quota.user_limit", "quota.class_limit"] as const)
    await tx.deleteFrom(table).where("service", "=", service).where("resource", "in", resources).execute()
}
