// Limits of projects as operators and users see them.
import { Type } from "typebox"
import { transact } from "../platform/db/database.ts"
import { operation } from "../platform/operation/operation.ts"
import {
  getClassLimits,
  getLimits,
  type Limits,
  listProjectLimits,
  readQuota,
  resetLimits,
  setLimits,
} from "../quota/index.ts"
import { quotaBelowUsage, quotaUnknown } from "./faults.ts"
import { networkQuota, type QuotaResource, quotaResources } from "./quota.ts"

export type NetworkQuota = Limits<QuotaResource>

const ProjectId = Type.Object({ projectId: Type.String({ maxLength: 255 }) })

export const getNetworkQuota = operation({
  name: "network.quota.get",
  input: ProjectId,
  rule: "get_quota",
  target: (_ctx, { projectId }) => ({ project_id: projectId }),
  run: async (ctx, { projectId }) => await getLimits(ctx, ctx.db, networkQuota, { projectId }),
})

export const getDefaultNetworkQuota = operation({
  name: "network.quota.get_default",
  input: ProjectId,
  rule: "get_quota",
  target: (_ctx, { projectId }) => ({ project_id: projectId }),
  run: async (ctx) => await getClassLimits(ctx, ctx.db, networkQuota),
})

export type QuotaDetails = Record<QuotaResource, { limit: number; used: number; reserved: number }>

export const getNetworkQuotaDetails = operation({
  name: "network.quota.get_details",
  input: ProjectId,
  rule: "get_quota",
  target: (_ctx, { projectId }) => ({ project_id: projectId }),
  run: async (ctx, { projectId }): Promise<QuotaDetails> => {
    const { limits, used } = await readQuota(ctx, ctx.db, networkQuota, { projectId })
    const details = quotaResources.map((r) => [r, { limit: limits[r], used: used[r], reserved: 0 }])
    // Made from the list of all resources.
    return Object.fromEntries(details) as QuotaDetails
  },
})

/** Projects that have limits of their own. */
export const listNetworkQuotas = operation({
  name: "network.quota.list",
  input: Type.Object({}),
  rule: "update_quota",
  run: async (ctx) => await listProjectLimits(ctx, ctx.db, networkQuota),
})

export const updateNetworkQuota = operation({
  name: "network.quota.update",
  input: Type.Object({
    projectId: Type.String({ maxLength: 255 }),
    limits: Type.Record(Type.String(), Type.Integer({ minimum: -1, maximum: 2_147_483_647 })),
    /** Take limits below what is used as well. */
    isForced: Type.Optional(Type.Boolean()),
  }),
  faults: [quotaUnknown, quotaBelowUsage],
  rule: "update_quota",
  target: (_ctx, { projectId }) => ({ project_id: projectId }),
  run: async (ctx, { projectId, limits, isForced }) => {
    const names: readonly string[] = quotaResources
    const unknown = Object.keys(limits).filter((name) => !names.includes(name))
    if (unknown.length > 0) throw quotaUnknown(unknown.join(", "))
    return await transact(ctx.db, async (tx) => {
      const refusals = isForced ? undefined : { belowUsage: quotaBelowUsage }
      await setLimits(ctx, tx, networkQuota, { projectId }, limits, refusals)
      return await getLimits(ctx, tx, networkQuota, { projectId })
    })
  },
})

export const resetNetworkQuota = operation({
  name: "network.quota.reset",
  input: ProjectId,
  rule: "delete_quota",
  target: (_ctx, { projectId }) => ({ project_id: projectId }),
  run: async (ctx, { projectId }) => {
    await transact(ctx.db, (tx) => resetLimits(tx, networkQuota, { projectId }))
  },
})
