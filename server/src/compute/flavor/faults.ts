import { fault } from "../../platform/fault/fault.ts"

export const flavorNotFound = fault(
  "not_found",
  "compute.flavor.not_found",
  (id: string) => `Flavor ${id} could not be found.`,
)
export const flavorIdTaken = fault(
  "conflict",
  "compute.flavor.id_taken",
  (id: string) => `Flavor with ID ${id} already exists.`,
)
export const flavorNameTaken = fault(
  "conflict",
  "compute.flavor.name_taken",
  (name: string) => `Flavor with name ${name} already exists.`,
)
export const flavorAccessExists = fault(
  "conflict",
  "compute.flavor.access_exists",
  (flavorId: string, projectId: string) =>
    `Flavor access already exists for flavor ${flavorId} and project ${projectId} combination.`,
)
export const flavorAccessNotFound = fault(
  "not_found",
  "compute.flavor.access_not_found",
  (flavorId: string, projectId: string) =>
    `Flavor access not found for ${flavorId} / ${projectId} combination.`,
)
export const flavorIsPublic = fault(
  "conflict",
  "compute.flavor.is_public",
  () => "Can not add access to a public flavor.",
)
export const flavorAccessOfPublic = fault(
  "not_found",
  "compute.flavor.access_of_public",
  () => "Access list not available for public flavors.",
)
export const flavorExtraSpecNotFound = fault(
  "not_found",
  "compute.flavor.extra_spec_not_found",
  (flavorId: string, key: string) => `Flavor ${flavorId} has no extra specs with key ${key}.`,
)
