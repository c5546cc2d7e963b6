import { fault } from "../platform/fault/fault.ts"

const amounts = (resources: Readonly<Record<string, number>>) =>
  Object.entries(resources)
    .map(([name, amount]) => `${amount} ${name}`)
    .join(", ")

export const noCapacity = fault(
  "no_capacity",
  "placement.capacity.exhausted",
  (resources: Readonly<Record<string, number>>) => `No host has ${amounts(resources)} free.`,
  (resources) => ({ resources }),
)

export const providerNotFound = fault(
  "not_found",
  "placement.provider.not_found",
  (id: string) => `No resource provider with uuid ${id} found`,
)

export const providerNameTaken = fault(
  "conflict",
  "placement.provider.name_taken",
  (what: string) => `Conflicting resource provider ${what} already exists.`,
)

export const providerInUse = fault(
  "conflict",
  "placement.provider.in_use",
  (id: string) => `Unable to delete resource provider ${id}: Resource provider has allocations.`,
)

export const providerHasChildren = fault(
  "conflict",
  "placement.provider.has_children",
  (id: string) => `Unable to delete parent resource provider ${id}: It has child resource providers.`,
)

export const inventoryInUse = fault(
  "conflict",
  "placement.inventory.in_use",
  (classes: string, provider: string) =>
    `Inventory for '${classes}' on resource provider '${provider}' in use.`,
)
