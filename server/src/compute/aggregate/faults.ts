import { fault } from "../../platform/fault/fault.ts"

export const aggregateNotFound = fault(
  "not_found",
  "compute.aggregate.not_found",
  (id: string) => `Aggregate ${id} could not be found.`,
)
export const aggregateNameTaken = fault(
  "conflict",
  "compute.aggregate.name_taken",
  (name: string) => `Aggregate ${name} already exists.`,
)
export const aggregateHostExists = fault(
  "conflict",
  "compute.aggregate.host_exists",
  (id: string, host: string) => `Aggregate ${id} already has host ${host}.`,
)
export const aggregateHostNotFound = fault(
  "not_found",
  "compute.aggregate.host_not_found",
  (id: string, host: string) => `Cannot remove host ${host} in aggregate ${id}`,
)
export const aggregateNotEmpty = fault(
  "invalid",
  "compute.aggregate.not_empty",
  (id: string) =>
    `Cannot remove host from aggregate ${id}. Reason: Host aggregate is not empty, remove its hosts first.`,
)
/** What an aggregate's zone may not become, for the sake of its hosts and their servers. */
export const aggregateZoneRefused = fault(
  "invalid",
  "compute.aggregate.zone_refused",
  (id: string, why: string) => `Cannot update aggregate ${id}. Reason: ${why}.`,
)
/** The same for a host that comes or goes. */
export const aggregateHostRefused = fault(
  "conflict",
  "compute.aggregate.host_refused",
  (id: string, change: "add" | "remove", why: string) =>
    `Cannot ${change === "add" ? "add host to" : "remove host from"} aggregate ${id}. Reason: ${why}.`,
)
