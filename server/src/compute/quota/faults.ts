import { fault } from "../../platform/fault/fault.ts"

export const quotaBelowUsage = fault(
  "invalid",
  "compute.quota.below_usage",
  (resource: string, limit: number, least: number) =>
    `Quota limit ${limit} for ${resource} must be greater than or equal to already used and reserved ${least}.`,
)
export const quotaAboveProject = fault(
  "invalid",
  "compute.quota.above_project",
  (resource: string, limit: number, most: number) =>
    `Quota limit ${limit} for ${resource} must be less than or equal to ${most}.`,
)
