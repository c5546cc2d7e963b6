// Limits of projects, for every service. A service declares what it counts (`quota` of its `Service`); this one knows
// limits and the rule "used + asked ≤ limit" under a lock.
export { countOf, declareQuota, sumOf } from "../engine/quota.ts"
export { type QuotaShortage, quotaExceeded } from "./faults.ts"
export {
  asksOf,
  checkRoom,
  enforceQuota,
  enforceQuotaOfMade,
  type HeldQuota,
  holdQuota,
  roomOf,
} from "./hold.ts"
export {
  configuredLimits,
  getClassLimits,
  getLimits,
  type Limits,
  listProjectLimits,
  resourcesOf,
} from "./limits.ts"
export { resetLimits, setClassLimits, setLimits } from "./set.ts"
export { type QuotaDetail, readQuota, readRoom } from "./use.ts"
