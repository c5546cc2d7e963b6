// Limits of a project for servers and what belongs to them.
import { Type } from "typebox"
import { transact } from "../../platform/db/database.ts"
import { operation } from "../../platform/operation/operation.ts"
import {
  type QuotaDetail as Detail,
  getClassLimits,
  getLimits,
  readQuota,
  resetLimits,
  setLimits,
} from "../../quota/index.ts"
import { checkProject, projectInvalid } from "../project.ts"
import { quotaAboveProject, quotaBelowUsage } from "./faults.ts"
import { computeQuota, type QuotaLimits, type QuotaResource, quotaResources } from "./resources.ts"

const rules = "os_compute_api:os-quota-sets"
const ProjectId = Type.String({ minLength: 1, maxLength: 255 })
const UserId = Type.Union([Type.String(), Type.Null()])

export const showQuota = operation({
  name: "compute.quota.get",
  input: Type.Object({ projectId: ProjectId, userId: UserId }),
  faults: [projectInvalid],
  rule: `${rules}:show`,
  target: (_ctx, { projectId }) => ({ project_id: projectId }),
  run: async (ctx, { projectId, userId }) => {
    await checkProject(ctx, projectId)
    return await getLimits(ctx, ctx.db, computeQuota, { projectId, userId })
  },
})

export type QuotaDetail = Detail<QuotaResource>

export const showQuotaDetail = operation({
  name: "compute.quota.get_detail",
  /** With a user: its limits and what it uses itself. */
  input: Type.Object({ projectId: ProjectId, userId: UserId }),
  faults: [projectInvalid],
  rule: `${rules}:detail`,
  target: (_ctx, { projectId }) => ({ project_id: projectId }),
  run: async (ctx, { projectId, userId }) => {
    await checkProject(ctx, projectId)
    return await readQuota(ctx, ctx.db, computeQuota, { projectId, userId })
  },
})

export const showDefaultQuota = operation({
  name: "compute.quota.get_defaults",
  input: Type.Object({ projectId: ProjectId }),
  faults: [projectInvalid],
  rule: `${rules}:defaults`,
  target: (_ctx, { projectId }) => ({ project_id: projectId }),
  run: async (ctx, { projectId }) => {
    await checkProject(ctx, projectId)
    return await getClassLimits(ctx, ctx.db, computeQuota)
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
  rule: `${rules}:update`,
  target: (_ctx, { projectId }) => ({ project_id: projectId }),
  run: async (ctx, { projectId, userId, limits, isForced }) => {
    await checkProject(ctx, projectId)
    return await transact(ctx.db, async (tx) => {
      const owner = { projectId, userId }
      const refusals = { belowUsage: quotaBelowUsage, aboveProject: quotaAboveProject }
      await setLimits(ctx, tx, computeQuota, owner, limits, isForced ? undefined : refusals)
      return await getLimits(ctx, tx, computeQuota, owner)
    })
  },
})

/** Back to the defaults, for all users too; also for a project that is gone. */
export const deleteQuota = operation({
  name: "compute.quota.delete",
  input: Type.Object({ projectId: ProjectId, userId: UserId }),
  rule: `${rules}:delete`,
  target: (_ctx, { projectId }) => ({ project_id: projectId }),
  run: async (ctx, { projectId, userId }) => {
    await transact(ctx.db, (tx) => resetLimits(tx, computeQuota, { projectId, userId }))
  },
})

/** Limits and use of the caller's project, or of another one for who may. */
export const showLimits = operation({
  name: "compute.limits.get",
  input: Type.Object({ projectId: Type.Union([ProjectId, Type.Null()]) }),
  rules: ["os_compute_api:limits", "os_compute_api:limits:other_project"],
  authorize: (ctx, { projectId }) => {
    const other = { project_id: projectId ?? ctx.caller.projectId, user_id: ctx.caller.userId }
    return [
      ["os_compute_api:limits", {}],
      ...(projectId === null ? [] : [["os_compute_api:limits:other_project", other] as const]),
    ]
  },
  run: async (ctx, input) => {
    const projectId = input.projectId ?? ctx.caller.projectId ?? ""
    return await readQuota(ctx, ctx.db, computeQuota, { projectId })
  },
})
