import { sql } from "kysely"
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { listThings } from "../../platform/noun/list.ts"
import { operation } from "../../platform/operation/operation.ts"
import { usageMarkerNotFound, usagePeriodInvalid } from "./faults.ts"
import { type Period, type ProjectUsage, sumByProject } from "./usage.ts"
import { usedServerNoun } from "./used-server.ts"

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
  const { start, end } = period
  const servers = await listThings(
    ctx.db,
    usedServerNoun,
    { projectId },
    {
      also: [sql`s.launched_at < ${end}`, sql`(s.terminated_at is null or s.terminated_at > ${start})`],
      page: { limit, marker: request.marker },
    },
  )
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
