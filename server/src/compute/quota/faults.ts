import { fault } from "../../platform/fault/fault.ts"

export const quotaBelowUsage = fault(
  "invalid",
  "compute.quota.below_usage",
  (resource: string, limit: number, used: number) =>
    `Quota limit ${limit} for ${resource} must be greater than or equal to already used and reserved ${used}.`,
)
export const userQuotaUnsupported = fault(
  "invalid",
  "compute.quota.user_quota_unsupported",
  () => "Limits of single users are not kept: leave out user_id to set those of the project.",
)
