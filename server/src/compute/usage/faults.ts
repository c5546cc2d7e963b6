import { fault } from "../../platform/fault/fault.ts"

export const usageMarkerNotFound = fault(
  "invalid",
  "compute.usage.marker_not_found",
  (marker: string) => `Marker ${marker} could not be found.`,
)
export const usagePeriodInvalid = fault(
  "invalid",
  "compute.usage.period_invalid",
  () => "Invalid start time. The start time cannot occur after the end time.",
)
