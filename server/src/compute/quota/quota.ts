// Limits of a project for servers and what belongs to them.
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { type DbOrTx, transact } from "../../platform/db/database.ts"
import { operation } from "../../platform/operation/operation.ts"
import { getDefaultLimits, getLimits, lockQuota, resetLimits, setLimits } from "../../quota/index.ts"
import { checkProject, projectInvalid } from "../project.ts"
import { quotaAboveProject, quotaBelowUsage } from "./faults.ts"
import { completeLimits, configuredQuota, type QuotaLimits, quotaResources } from "./resources.ts"
import { checkSettable } from "./settable.ts"
import { countQuotaUsage } from "./usage.ts"
import { deleteUserLimits, selectUserLimits, setUserLimits, sumUserLimits } from "./user-store.ts"

const rules = "os_compute_api:os-quota-sets"
const service = "compute"
const ProjectId = Type.String({ minLength: 1, maxLength: 255 })
const UserId = Type.Union([Type.String(), Type.Null()])

/** Limits of the project; with a user, its own in front of them. */
async function limitsOf(
  ctx: Ctx,
  db: DbOrTx,
  projectId: string,
  userId: string | null,
): Promise<QuotaLimits> {
  const limits = await getLimits(db, { projectId, service })
  const own = userId === null ? {} : await selectUserLimits(db, { projectId, userId })
  return completeLimits({ ...limits, ...own }, configuredQuota(ctx.config.compute))
}

export const showQuota = operation({
  name: "compute.quota.get",
  input: Type.Object({ projectId: ProjectId, userId: UserId }),
  faults: [projectInvalid],
  authorize: (_ctx, { projectId }) => [[`${rules}:show`, { project_id: projectId }]],
  run: async (ctx, { projectId, userId }) => {
    await checkProject(ctx, projectId)
    return await limitsOf(ctx, ctx.db, projectId, userId)
  },
})

export interface QuotaDetail {
  limits: QuotaLimits
  used: QuotaLimits
}

async function detailOf(ctx: Ctx, projectId: string, userId: string | null): Promise<QuotaDetail> {
  const [limits, used] = await Promise.all([
    limitsOf(ctx, ctx.db, projectId, userId),
    countQuotaUsage(ctx.db, projectId, userId),
  ])
  return { limits, used }
}

export const showQuotaDetail = operation({
  name: "compute.quota.get_detail",
  /** With a user: its limits and what it uses itself. */
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

/** Limits of a project, or of one user within it. What may not be set is set all the same when it is forced. */
export const updateQuota = operation({
  name: "compute.quota.update",
  input: Type.Object({
    projectId: ProjectId,
    userId: UserId,
    limits: Type.Unsafe<Partial<QuotaLimits>>(NewLimits),
    isForced: Type.Boolean(),
  }),
  faults: [projectInvalid, quotaBelowUsage, quotaAboveProject],
  authorize: (_ctx, { projectId }) => [[`${rules}:update`, { project_id: projectId }]],
  run: async (ctx, { projectId, userId, limits, isForced }) => {
    await checkProject(ctx, projectId)
    return await transact(ctx.db, async (tx) => {
      const scope = { projectId, service }
      await lockQuota(tx, scope)
      if (!isForced) {
        checkSettable(limits, {
          used: await countQuotaUsage(tx, projectId, userId),
          limits: await limitsOf(ctx, tx, projectId, null),
          given: await sumUserLimits(tx, projectId),
          own: userId === null ? null : await selectUserLimits(tx, { projectId, userId }),
        })
      }
      if (userId === null) await setLimits(tx, scope, limits)
      else await setUserLimits(tx, { projectId, userId }, limits, ctx.clock.now())
      return await limitsOf(ctx, tx, projectId, userId)
    })
  },
})

/** Back to the defaults, for all users too; also for a project that is gone. */
export const deleteQuota = operation({
  name: "compute.quota.delete",
  input: Type.Object({ projectId: ProjectId, userId: UserId }),
  authorize: (_ctx, { projectId }) => [[`${rules}:delete`, { project_id: projectId }]],
  run: async (ctx, { projectId, userId }) => {
    await transact(ctx.db, async (tx) => {
      await deleteUserLimits(tx, projectId, userId)
      if (userId === null) await resetLimits(tx, { projectId, service })
    })
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
