import { fault } from "../../platform/fault/fault.ts"

export const liveMigrationNotFound = fault(
  "not_found",
  "compute.migration.live_not_found",
  (number: string, serverId: string) =>
    `In-progress live migration ${number} is not found for server ${serverId}.`,
)
export const liveMigrationCancelled = fault(
  "conflict",
  "compute.migration.cancelled",
  (serverId: string) =>
    `The live migration of server ${serverId} was cancelled while it waited for its turn.`,
)
export const migrationNotLive = fault(
  "not_found",
  "compute.migration.not_live",
  (number: string, serverId: string) => `Migration ${number} for server ${serverId} is not live-migration.`,
)
export const migrationNotFound = fault(
  "not_found",
  "compute.migration.not_found",
  (number: string) => `Migration ${number} could not be found.`,
)
export const liveMigrationWrongState = fault(
  "invalid",
  "compute.migration.wrong_state",
  (number: string, serverId: string, status: string) =>
    `Migration ${number} state of instance ${serverId} is ${status}. Cannot act on it in this state.`,
)
export const migrationMarkerNotFound = fault(
  "invalid",
  "compute.migration.marker_not_found",
  (id: string) => `Marker ${id} could not be found.`,
)
