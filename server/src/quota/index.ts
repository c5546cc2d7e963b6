// Limits of projects, for every service. A service declares what it counts (`quota` of its `Service`); this one knows
// limits and the rule "used + asked ≤ limit" under a lock.
export { countOf, declareQuota, type Quota, type QuotaResource, sumOf, widenQuota } from "../engine/quota.ts"
export {
  asksOf,
  checkRoom,
  enforceQuota,
  enforceQuotaOfMade,
  type HeldQuota,
  holdQuota,
  roomOf,
} from "./enforce.ts"
export { type QuotaShortage, quotaExceeded } from "./faults.ts"
export {
  configuredLimits,
  getClassLimits,
  getLimits,
  type Limits,
  listProjectLimits,
  resourcesOf,
} from "./limits.ts"
export { forgetResources, resetLimits, setClassLimits, setLimits } from "./set.ts"
export type { LimitRefusals } from "./settable.ts"
export { type QuotaDetail, readQuota, readRoom } from "./use.ts"
