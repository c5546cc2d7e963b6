// Faults of the wire itself.
import { fault } from "../../platform/fault/fault.ts"

export const mediaTypeNotTaken = fault(
  "unsupported",
  "api.placement.media_type",
  (given: string) => `The media type ${given || "None"} is not supported, use application/json`,
)

export const notAcceptable = fault(
  "unsupported",
  "api.placement.not_acceptable",
  () => "Only application/json is provided",
)

export const queryValueBad = fault("invalid", "api.placement.query_bad_value", (message: string) => message)

export const queryKeyTwice = fault(
  "invalid",
  "api.placement.query_duplicate_key",
  (name: string) => `Query parameter '${name}' may be specified only once.`,
)

export const queryValueMissing = fault(
  "invalid",
  "api.placement.query_missing_value",
  (message: string) => message,
)
