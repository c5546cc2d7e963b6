import { fault } from "../../platform/fault/fault.ts"

export const liveMigrationNotFound = fault(
  "not_found",
  "compute.migration.live_not_found",
  (number: string, serverId: string) =>
    `In-progress live migration ${number} is not found for server ${serverId}.`,
)
export const migrationNotLive = fault(
  "not_found",
  "compute.migration.not_live",
  (number: string, serverId: string) => `Migration ${number} for server ${serverId} is not live-migration.`,
)
export const migrationMarkerNotFound = fault(
  "invalid",
  "compute.migration.marker_not_found",
  (id: string) => `Marker ${id} could not be found.`,
)
