// Which limits may be set without force: none below what is used, none of a user above what its project has left.
import { quotaAboveProject, quotaBelowUsage } from "./faults.ts"
import { type QuotaLimits, quotaResources } from "./resources.ts"

export interface SettableFacts {
  /** Of the project, or of the user whose limits are set. */
  used: QuotaLimits
  /** Of the project. */
  limits: QuotaLimits
  /** What the project's users have by name, all together. */
  given: Partial<QuotaLimits>
  /** What the user has by name; null when the project's limits are set. */
  own: Partial<QuotaLimits> | null
}

/** -1 is above every number. */
const size = (limit: number) => (limit < 0 ? Number.POSITIVE_INFINITY : limit)

/** Throws for the first limit that may not be set. */
export function checkSettable(wanted: Partial<QuotaLimits>, facts: SettableFacts): void {
  for (const resource of quotaResources) {
    const limit = wanted[resource]
    if (limit === undefined) continue
    const given = facts.given[resource] ?? 0
    const least = facts.own ? facts.used[resource] : Math.max(facts.used[resource], given)
    if (size(limit) < least) throw quotaBelowUsage(resource, limit, least)
    if (!facts.own) continue
    const most = size(facts.limits[resource]) - given + Math.max(0, facts.own[resource] ?? 0)
    if (size(limit) > most) throw quotaAboveProject(resource, limit, most)
  }
}
