// Limits of a project for servers and what belongs to them.
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { type DbOrTx, transact } from "../../platform/db/database.ts"
import { operation } from "../../platform/operation/operation.ts"
import { getDefaultLimits, getLimits, lockQuota, resetLimits, setLimits } from "../../quota/index.ts"
import { checkProject, projectInvalid } from "../project.ts"
import { quotaBelowUsage, userQuotaUnsupported } from "./faults.ts"
import { completeLimits, configuredQuota, type QuotaLimits, quotaResources } from "./resources.ts"
import { countQuotaUsage } from "./usage.ts"

const rules = "os_compute_api:os-quota-sets"
const service = "compute"
const ProjectId = Type.String({ minLength: 1, maxLength: 255 })
const UserId = Type.Union([Type.String(), Type.Null()])

export async function limitsOfProject(ctx: Ctx, db: DbOrTx, projectId: string): Promise<QuotaLimits> {
  return completeLimits(await getLimits(db, { projectId, service }), configuredQuota(ctx.config.compute))
}

export const showQuota = operation({
  name: "compute.quota.get",
  input: Type.Object({ projectId: ProjectId }),
  faults: [projectInvalid],
  authorize: (_ctx, { projectId }) => [[`${rules}:show`, { project_id: projectId }]],
  run: async (ctx, { projectId }) => {
    await checkProject(ctx, projectId)
    return await limitsOfProject(ctx, ctx.db, projectId)
  },
})

export interface QuotaDetail {
  limits: QuotaLimits
  used: QuotaLimits
}

async function detailOf(ctx: Ctx, projectId: string, userId: string | null): Promise<QuotaDetail> {
  const [limits, used] = await Promise.all([
    limitsOfProject(ctx, ctx.db, projectId),
    countQuotaUsage(ctx.db, projectId, userId),
  ])
  return { limits, used }
}

export const showQuotaDetail = operation({
  name: "compute.quota.get_detail",
  /** With a user: what that user uses of the project's limits. */
  input: Type.Object({ projectId: ProjectId, userId: UserId }),
  faults: [projectInvalid],
  authorize: (_ctx, { projectId }) => [[`${rules}:detail`, { project_id: projectId }]],
  run: async (ctx, { projectId, userId }) => {
    await checkProject(ctx, projectId)
    return await detailOf(ctx, projectId, userId)
  },
})

export const showDefaultQuota = operation({
  name: "compute.quota.get_defaults",
  input: Type.Object({ projectId: ProjectId }),
  faults: [projectInvalid],
  authorize: (_ctx, { projectId }) => [[`${rules}:defaults`, { project_id: projectId }]],
  run: async (ctx, { projectId }) => {
    await checkProject(ctx, projectId)
    return completeLimits(await getDefaultLimits(ctx.db, service), configuredQuota(ctx.config.compute))
  },
})

const Limit = Type.Integer({ minimum: -1, maximum: 2_147_483_647 })
export const NewLimits = Type.Object(
  Object.fromEntries(quotaResources.map((resource) => [resource, Type.Optional(Limit)])),
  { additionalProperties: false },
)

/** A limit below what is used needs `isForced`; it takes nothing away, it only stops what comes. */
export const updateQuota = operation({
  name: "compute.quota.update",
  input: Type.Object({
    projectId: ProjectId,
    userId: UserId,
    limits: Type.Unsafe<Partial<QuotaLimits>>(NewLimits),
    isForced: Type.Boolean(),
  }),
  faults: [projectInvalid, quotaBelowUsage, userQuotaUnsupported],
  authorize: (_ctx, { projectId }) => [[`${rules}:update`, { project_id: projectId }]],
  run: async (ctx, { projectId, userId, limits, isForced }) => {
    if (userId !== null) throw userQuotaUnsupported()
    await checkProject(ctx, projectId)
    return await transact(ctx.db, async (tx) => {
      const scope = { projectId, service }
      await lockQuota(tx, scope)
      const used = await countQuotaUsage(tx, projectId)
      for (const resource of quotaResources) {
        const limit = limits[resource]
        if (limit === undefined || limit < 0 || isForced) continue
        if (limit < used[resource]) throw quotaBelowUsage(resource, limit, used[resource])
      }
      await setLimits(tx, scope, limits)
      return await limitsOfProject(ctx, tx, projectId)
    })
  },
})

/** Back to the defaults; also for a project that is gone. */
export const deleteQuota = operation({
  name: "compute.quota.delete",
  input: Type.Object({ projectId: ProjectId, userId: UserId }),
  authorize: (_ctx, { projectId }) => [[`${rules}:delete`, { project_id: projectId }]],
  run: async (ctx, { projectId, userId }) => {
    // No user has limits of its own, so there are none to take away.
    if (userId !== null) return
    await transact(ctx.db, (tx) => resetLimits(tx, { projectId, service }))
  },
})

/** Limits and use of the caller's project, or of another one for who may. */
export const showLimits = operation({
  name: "compute.limits.get",
  input: Type.Object({ projectId: Type.Union([ProjectId, Type.Null()]) }),
  authorize: (ctx, { projectId }) => {
    const other = { project_id: projectId ?? ctx.caller.projectId, user_id: ctx.caller.userId }
    return [
      ["os_compute_api:limits", {}],
      ...(projectId === null ? [] : [["os_compute_api:limits:other_project", other] as const]),
    ]
  },
  run: (ctx, { projectId }) => detailOf(ctx, projectId ?? ctx.caller.projectId ?? "", null),
})
