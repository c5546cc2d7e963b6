import type {} from "./tables.ts"

export { listProviderAggregates, setProviderAggregates } from "./aggregate/aggregate.ts"
export {
  deleteConsumerAllocations,
  type HeldByConsumer,
  type HeldOfProvider,
  listConsumerAllocations,
  listProviderAllocations,
  manageAllocations,
  reshape,
  setConsumerAllocations,
} from "./allocation/allocation.ts"
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
} from "./host/candidates.ts"
export {
  ensureHostProvider,
  type HostInventory,
  type HostProvider,
  removeHostProvider,
} from "./host/ensure.ts"
export { type HostRatios, setHostRatios } from "./host/ratios.ts"
export {
  allHostRooms,
  otherRooms,
  type Room,
  type RoomPage,
  roomsOf,
  roomyHosts,
  traitsOfRoom,
} from "./host/rooms.ts"
export {
  createInventory,
  deleteInventories,
  getInventory,
  type Inventory,
  inventoryNoun,
  listInventories,
  type ProviderInventories,
  type ProviderInventory,
  replaceInventories,
  updateInventory,
} from "./inventory/inventory.ts"
export { createProvider } from "./provider/create.ts"
export { deleteProvider } from "./provider/delete.ts"
export { type Provider, providerNoun } from "./provider/provider.ts"
export { getProvider, listProviders } from "./provider/read.ts"
export { updateProvider } from "./provider/update.ts"
export {
  createResourceClass,
  deleteResourceClass,
  ensureResourceClass,
  getResourceClass,
  listResourceClasses,
  renameResourceClass,
} from "./resource-class/resource-class.ts"
export { standardResourceClasses } from "./resource-class/standard.ts"
export { standardTraits } from "./trait/standard.ts"
export {
  clearProviderTraits,
  deleteTrait,
  ensureTrait,
  getTrait,
  listProviderTraits,
  listTraits,
  setProviderTraits,
} from "./trait/trait.ts"
export { getProjectUsages, getProviderUsages } from "./usage/usage.ts"
