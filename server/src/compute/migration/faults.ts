import { fault } from "../../platform/fault/fault.ts"

export const migrationMarkerNotFound = fault(
  "invalid",
  "compute.migration.marker_not_found",
  (id: string) => `Marker ${id} could not be found.`,
)
