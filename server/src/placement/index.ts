import type { Service } from "../engine/service.ts"
import { policies } from "./policy.ts"

export {
  type Claim,
  claimAllocation,
  getHeldAllocations,
  type HeldAllocation,
  type Resources,
  releaseAllocation,
  transferAllocation,
} from "./allocation/claim.ts"
export * from "./faults.ts"
export {
  type CandidateQuery,
  candidateHosts,
  type HostCapacity,
  type HostResource,
  hostUsages,
} from "./host/candidates.ts"
export {
  ensureHostProvider,
  type HostInventory,
  type HostProvider,
  removeHostProvider,
} from "./host/ensure.ts"

import type {} from "./tables.ts"

/** Keeps the account of what hosts have and who holds it; nothing of it runs beside requests. */
export function createPlacement(): Service {
  return { name: "placement", policies, sagas: [], reconcilers: [] }
}
