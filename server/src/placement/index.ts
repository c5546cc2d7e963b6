import type {} from "./tables.ts"

export { listProviderAggregates, setProviderAggregates } from "./aggregate/aggregates.ts"
export {
  deleteConsumerAllocations,
  type HeldByConsumer,
  type HeldOfProvider,
  listConsumerAllocations,
  listProviderAllocations,
  manageAllocations,
  reshape,
  setConsumerAllocations,
} from "./allocation/allocations.ts"
export {
  type Claim,
  claimAllocation,
  getHeldAllocations,
  type HeldAllocation,
  type Resources,
  releaseAllocation,
  transferAllocation,
} from "./allocation/claim.ts"
export type { ConsumerAllocations } from "./allocation/write.ts"
export { listAllocationCandidates, type RequestGroup } from "./candidate/list.ts"
export type { Answer, Candidate } from "./candidate/solve.ts"
export * from "./faults.ts"
export {
  type CandidateQuery,
  candidateHosts,
  type HostCapacity,
  type HostResource,
  hostUsages,
  usedOfHost,
} from "./host/candidates.ts"
export {
  ensureHostProvider,
  type HostInventory,
  type HostProvider,
  removeHostProvider,
} from "./host/ensure.ts"
export {
  createInventory,
  deleteInventories,
  type Inventory,
  listInventories,
  replaceInventories,
  showInventory,
  updateInventory,
} from "./inventory/inventories.ts"
export { createProvider, deleteProvider, showProvider, updateProvider } from "./provider/crud.ts"
export { listProviders } from "./provider/list.ts"
export type { Provider } from "./provider/provider.ts"
export {
  createResourceClass,
  deleteResourceClass,
  ensureResourceClass,
  listResourceClasses,
  renameResourceClass,
  showResourceClass,
} from "./resource-class/classes.ts"
export {
  clearProviderTraits,
  deleteTrait,
  ensureTrait,
  listProviderTraits,
  listTraits,
  setProviderTraits,
  showTrait,
} from "./trait/traits.ts"
export { showProjectUsages, showProviderUsages } from "./usage/usages.ts"
