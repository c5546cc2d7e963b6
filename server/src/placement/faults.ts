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

export const providerTreeInvalid = fault(
  "invalid",
  "placement.provider.tree_invalid",
  (id: string, why: string) => `Unable to save resource provider ${id}: ${why}`,
)

export const generationConflict = fault(
  "conflict",
  "placement.provider.generation_conflict",
  (id: string, given: number, actual: number) =>
    `resource provider generation conflict for provider ${id}: actual: ${actual}, given: ${given}. ` +
    "Resource provider's generation already changed. Please update the generation and try again.",
)

export const inventoryNotFound = fault(
  "not_found",
  "placement.inventory.not_found",
  (resourceClass: string, provider = "") => `No inventory of class ${resourceClass} for ${provider}`,
)

export const inventoryMissing = fault(
  "invalid",
  "placement.inventory.missing",
  (resourceClass: string, provider: string) =>
    `No inventory record with resource class for resource provider ${provider}: ` +
    `No inventory of class ${resourceClass} found.`,
)

export const inventoryExists = fault(
  "conflict",
  "placement.inventory.exists",
  (resourceClass: string, provider: string) =>
    `Update conflict: resource provider ${provider} already has an inventory of class ${resourceClass}.`,
)

export const inventoryInvalid = fault(
  "invalid",
  "placement.inventory.invalid",
  (resourceClass: string, provider: string, why: string) =>
    `Unable to update inventory for resource provider ${provider}: Invalid inventory for '${resourceClass}' on ` +
    `resource provider '${provider}'. ${why}`,
)

export const inventoryInUse = fault(
  "conflict",
  "placement.inventory.in_use",
  (classes: string, provider: string) =>
    `update conflict: Inventory for '${classes}' on resource provider '${provider}' in use.`,
)

export const resourceClassUnknown = fault(
  "invalid",
  "placement.resource_class.unknown",
  (where: string, names: string) => `${where}: No such resource class ${names}.`,
)

export const resourceClassNotFound = fault(
  "not_found",
  "placement.resource_class.not_found",
  (name: string) => `No such resource class ${name}.`,
)

export const resourceClassExists = fault(
  "conflict",
  "placement.resource_class.exists",
  (name: string) => `Conflicting resource class already exists: ${name}`,
)

export const resourceClassStandard = fault(
  "invalid",
  "placement.resource_class.standard",
  (action: string, name: string) => `Cannot ${action} standard resource class ${name}.`,
)

export const resourceClassInUse = fault(
  "conflict",
  "placement.resource_class.in_use",
  (name: string) =>
    `Error in delete resource class: Cannot delete resource class ${name}. Class is in use in inventory.`,
)

export const traitNotFound = fault(
  "not_found",
  "placement.trait.not_found",
  (name: string) => `No such trait(s): ${name}.`,
)

export const traitUnknown = fault(
  "invalid",
  "placement.trait.unknown",
  (names: string) => `No such trait(s): ${names}.`,
)

export const traitStandard = fault(
  "invalid",
  "placement.trait.standard",
  (name: string) => `Cannot delete standard trait ${name}.`,
)

export const traitInUse = fault(
  "conflict",
  "placement.trait.in_use",
  (name: string) => `The trait ${name} is in use by a resource provider.`,
)

export const consumerGenerationConflict = fault(
  "conflict",
  "placement.consumer.generation_conflict",
  (consumer: string, expected: number | null, actual: number | null) =>
    `consumer generation conflict - expected ${actual ?? "null"} but got ${expected ?? "null"} ` +
    `for consumer ${consumer}`,
)

export const allocationNotFound = fault(
  "not_found",
  "placement.allocation.not_found",
  (consumer: string) => `No allocations for consumer '${consumer}'`,
)

export const reshapeProviderUnknown = fault(
  "invalid",
  "placement.reshaper.provider_unknown",
  (provider: string) => `Resource provider ${provider} in inventories not found.`,
)

export const allocationProviderUnknown = fault(
  "invalid",
  "placement.allocation.provider_unknown",
  (provider: string) => `Allocation for resource provider '${provider}' that does not exist.`,
)

export const allocationImpossible = fault(
  "conflict",
  "placement.allocation.impossible",
  (resourceClass: string, provider: string, why: string) =>
    `Unable to allocate inventory: Unable to create allocation for '${resourceClass}' on resource provider ` +
    `'${provider}'. ${why}`,
)
