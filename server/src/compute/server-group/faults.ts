import { fault } from "../../platform/fault/fault.ts"

export const serverGroupNotFound = fault(
  "not_found",
  "compute.server_group.not_found",
  (id: string) => `Instance group ${id} could not be found.`,
)
export const serverGroupRulesUnsupported = fault(
  "invalid",
  "compute.server_group.rules_unsupported",
  () => "Only anti-affinity policy supports rules.",
)
/** For a server that is to go into one: the group is part of the request then, not its object. */
export const serverGroupUnusable = fault(
  "invalid",
  "compute.server_group.unusable",
  (id: string) => `Instance group ${id} could not be found.`,
)
