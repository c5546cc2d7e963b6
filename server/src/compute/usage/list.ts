import { sql } from "kysely"
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import type { DbOrTx } from "../../platform/db/database.ts"
import { fault } from "../../platform/fault/fault.ts"
import { isUuid } from "../../platform/ids/ids.ts"
import { operation } from "../../platform/operation/operation.ts"
import { type Period, type ProjectUsage, sumByProject, type UsedServer } from "./usage.ts"

export const usageMarkerNotFound = fault(
  "invalid",
  "compute.usage.marker_not_found",
  (marker: string) => `Marker ${marker} could not be found.`,
)
export const usagePeriodInvalid = fault(
  "invalid",
  "compute.usage.period_invalid",
  () => "Invalid start time. The start time cannot occur after the end time.",
)

const WhenOrNull = Type.Unsafe<Date | null>({})

const PeriodAndPage = {
  /** null: now. */
  start: WhenOrNull,
  end: WhenOrNull,
  /** Servers in one page; null for as many as one may have. */
  limit: Type.Union([Type.Integer({ minimum: 0 }), Type.Null()]),
  /** Id of the last server of the page before. */
  marker: Type.Union([Type.String(), Type.Null()]),
}

export interface UsagePage {
  projects: ProjectUsage[]
  /** Marker of the next page; null when this one is not full. */
  nextMarker: string | null
}

export const listProjectUsages = operation({
  name: "compute.usage.list",
  input: Type.Object(PeriodAndPage),
  faults: [usageMarkerNotFound, usagePeriodInvalid],
  rule: "os_compute_api:os-simple-tenant-usage:list",
  target: (ctx) => ({ project_id: ctx.caller.projectId }),
  run: (ctx, input) => usagePage(ctx, null, input),
})

export const showProjectUsage = operation({
  name: "compute.usage.get",
  input: Type.Object({ projectId: Type.String(), ...PeriodAndPage }),
  faults: [usageMarkerNotFound, usagePeriodInvalid],
  rule: "os_compute_api:os-simple-tenant-usage:show",
  target: (_ctx, input) => ({ project_id: input.projectId }),
  run: (ctx, { projectId, ...input }) => usagePage(ctx, projectId, input),
})

interface UsageRequest {
  start: Date | null
  end: Date | null
  limit: number | null
  marker: string | null
}

async function usagePage(ctx: Ctx, projectId: string | null, request: UsageRequest): Promise<UsagePage> {
  const now = ctx.clock.now()
  const limitMost = ctx.config.compute.listLimitMost
  const limit = Math.min(request.limit ?? limitMost, limitMost)
  const period = periodOf(request, now)
  const servers = await selectUsedServers(ctx.db, { projectId, period, limit, marker: request.marker })
  const last = servers.at(-1)
  return {
    projects: sumByProject(servers, period, now),
    nextMarker: last && servers.length === limit ? last.id : null,
  }
}

/** The future has no usage yet. */
function periodOf(request: UsageRequest, now: Date): Period {
  const end = request.end ?? now
  // Both left out is an empty period and no error.
  const start = request.start ?? new Date(now.getTime() - 1)
  if (start >= end) throw usagePeriodInvalid()
  return { start, end: end > now ? now : end }
}

interface UsageQuery {
  projectId: string | null
  period: Period
  limit: number
  marker: string | null
}

async function selectUsedServers(db: DbOrTx, query: UsageQuery): Promise<UsedServer[]> {
  const { start, end } = query.period
  const conditions = [
    sql`launched_at < ${end}`,
    sql`(terminated_at is null or terminated_at > ${start})`,
    ...(query.projectId === null ? [] : [sql`project_id = ${query.projectId}`]),
  ]
  if (query.marker !== null) {
    const projectId = await projectOfServer(db, query.marker)
    if (query.projectId !== null && query.projectId !== projectId) throw usageMarkerNotFound(query.marker)
    conditions.push(sql`(project_id, id) > (${projectId}, ${query.marker}::uuid)`)
  }
  const found = await sql<UsedServer>`
    select id, name, project_id as "projectId", vm_state as "vmState", flavor->>'name' as "flavorName", vcpus,
      ram_mib as "ramMib", (flavor->>'diskGib')::int + (flavor->>'ephemeralGib')::int as "diskGib",
      launched_at as "launchedAt", terminated_at as "terminatedAt"
    from compute.server where ${sql.join(conditions, sql` and `)}
    order by project_id, id limit ${query.limit}`.execute(db)
  return found.rows
}

async function projectOfServer(db: DbOrTx, marker: string): Promise<string> {
  const row = isUuid(marker)
    ? await db.selectFrom("compute.server").select("project_id").where("id", "=", marker).executeTakeFirst()
    : undefined
  if (!row) throw usageMarkerNotFound(marker)
  return row.project_id
}
