// Limits of single users: nearly nobody has any, so that the usual case costs one look-up by key.
import type { Tx } from "../../platform/db/database.ts"
import { type QuotaShortage, type QuotaWanted, quotaExceeded } from "../../quota/index.ts"
import type { QuotaLimits, QuotaResource } from "./resources.ts"
import { countQuotaUsage } from "./usage.ts"
import { type QuotaOwner, selectUserLimits } from "./user-store.ts"

export interface UserQuota {
  limits: Partial<QuotaLimits>
  used: QuotaLimits
}

/** What is asked for, and what is used of it where it is not counted from servers and groups. */
export type UserQuotaWanted = Partial<
  Record<QuotaResource, number | { add: number; used: QuotaWanted[string]["used"] }>
>

/** null for a user without limits of its own. Call it under the quota's lock. */
export async function loadUserQuota(tx: Tx, owner: QuotaOwner): Promise<UserQuota | null> {
  const limits = await selectUserLimits(tx, owner)
  if (Object.keys(limits).length === 0) return null
  return { limits, used: await countQuotaUsage(tx, owner.projectId, owner.userId) }
}

/** How many things of this size the user may still have, `most` at the most. */
export function roomWithin(quota: UserQuota | null, each: Partial<QuotaLimits>, most: number): number {
  let room = most
  for (const [resource, limit] of Object.entries(quota?.limits ?? {}) as [QuotaResource, number][]) {
    const size = each[resource] ?? 0
    if (limit < 0 || size === 0) continue
    room = Math.min(room, Math.floor((limit - (quota?.used[resource] ?? 0)) / size))
  }
  return room
}

/** Throws `quota.exceeded` naming every resource that is short. */
export async function checkUserQuota(quota: UserQuota | null, wanted: UserQuotaWanted): Promise<void> {
  if (!quota) return
  const shortages: QuotaShortage[] = []
  for (const [resource, want] of Object.entries(wanted) as [QuotaResource, UserQuotaWanted["cores"]][]) {
    const limit = quota.limits[resource] ?? -1
    if (limit < 0 || want === undefined) continue
    const add = typeof want === "number" ? want : want.add
    const used = typeof want === "number" ? quota.used[resource] : await want.used()
    if (used + add > limit) shortages.push({ resource, asked: add, used, limit })
  }
  if (shortages.length > 0) throw quotaExceeded(shortages)
}

/** Beside `enforceQuota`, and after it: that one holds the lock. */
export async function enforceUserQuota(tx: Tx, owner: QuotaOwner, wanted: UserQuotaWanted): Promise<void> {
  await checkUserQuota(await loadUserQuota(tx, owner), wanted)
}
