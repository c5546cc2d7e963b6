// Limits of projects as operators and users see them.
import { Type } from "typebox"
import { transact } from "../platform/db/database.ts"
import { operation } from "../platform/operation/operation.ts"
import {
  getDefaultLimits,
  getLimits,
  type Limits,
  listProjectLimits,
  resetLimits,
  setLimits,
} from "../quota/index.ts"
import { quotaBelowUsage, quotaUnknown } from "./faults.ts"
import { networkUsage, type QuotaResource, quotaResources, quotaService } from "./quota.ts"

export type NetworkQuota = Record<QuotaResource, number>

const ProjectId = Type.Object({ projectId: Type.String({ maxLength: 255 }) })
const scope = (projectId: string) => ({ projectId, service: quotaService })

function ownLimits(limits: Limits): NetworkQuota {
  const known = Object.fromEntries(quotaResources.map((resource) => [resource, limits[resource] ?? -1]))
  // Made from the list of all resources.
  return known as NetworkQuota
}

export const getNetworkQuota = operation({
  name: "network.quota.get",
  input: ProjectId,
  rule: "get_quota",
  target: (_ctx, { projectId }) => ({ project_id: projectId }),
  run: async (ctx, { projectId }) => ownLimits(await getLimits(ctx.db, scope(projectId))),
})

export const getDefaultNetworkQuota = operation({
  name: "network.quota.get_default",
  input: ProjectId,
  rule: "get_quota",
  target: (_ctx, { projectId }) => ({ project_id: projectId }),
  run: async (ctx) => ownLimits(await getDefaultLimits(ctx.db, quotaService)),
})

export type QuotaDetails = Record<QuotaResource, { limit: number; used: number; reserved: number }>

export const getNetworkQuotaDetails = operation({
  name: "network.quota.get_details",
  input: ProjectId,
  rule: "get_quota",
  target: (_ctx, { projectId }) => ({ project_id: projectId }),
  run: async (ctx, { projectId }): Promise<QuotaDetails> => {
    const limits = ownLimits(await getLimits(ctx.db, scope(projectId)))
    const used = await networkUsage(ctx.db, projectId)
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
  run: async (ctx) => {
    const own = await listProjectLimits(ctx.db, quotaService)
    return own.map(({ projectId, limits }) => ({ projectId, limits: ownLimits(limits) }))
  },
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
      if (!isForced) {
        const used = await networkUsage(tx, projectId)
        for (const resource of quotaResources) {
          const limit = limits[resource] ?? -1
          if (limit >= 0 && limit < used[resource]) throw quotaBelowUsage(resource, limit, used[resource])
        }
      }
      await setLimits(tx, scope(projectId), limits)
      return ownLimits(await getLimits(tx, scope(projectId)))
    })
  },
})

export const resetNetworkQuota = operation({
  name: "network.quota.reset",
  input: ProjectId,
  rule: "delete_quota",
  target: (_ctx, { projectId }) => ({ project_id: projectId }),
  run: async (ctx, { projectId }) => {
    await transact(ctx.db, (tx) => resetLimits(tx, scope(projectId)))
  },
})
