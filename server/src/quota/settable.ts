// Which limits may be set without force: none below what is used, none of a user above what its project has left.
import type { Fault } from "../platform/fault/fault.ts"
import type { Limits } from "./limits.ts"

type Refusal = (resource: string, limit: number, bound: number) => Fault

/** How a limit that may not be set is refused: (resource, limit, the least or the most that it may be). */
export interface LimitRefusals {
  belowUsage: Refusal
  /** Of a user: above what its project has left. */
  aboveProject?: Refusal
}

export interface SettableFacts<R extends string> {
  /** Of the project, or of the user whose limits are set. */
  used: Limits<R>
  /** Of the project. */
  limits: Limits<R>
  /** What the project's users have by name, all together. */
  given: Partial<Limits<R>>
  /** What the user has by name; null when the project's limits are set. */
  own: Partial<Limits<R>> | null
}

/** -1 is above every number. */
const size = (limit: number) => (limit < 0 ? Number.POSITIVE_INFINITY : limit)

/** Throws for the first limit that may not be set. */
export function checkSettable<R extends string>(
  wanted: Partial<Limits<R>>,
  facts: SettableFacts<R>,
  refusals: LimitRefusals,
): void {
  for (const resource in facts.limits) {
    const limit = wanted[resource]
    if (limit === undefined) continue
    const given = facts.given[resource] ?? 0
    const least = facts.own ? facts.used[resource] : Math.max(facts.used[resource], given)
    if (size(limit) < least) throw refusals.belowUsage(resource, limit, least)
    if (!facts.own) continue
    const most = size(facts.limits[resource]) - given + Math.max(0, facts.own[resource] ?? 0)
    if (size(limit) > most && refusals.aboveProject) throw refusals.aboveProject(resource, limit, most)
  }
}
