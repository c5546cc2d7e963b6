import { fault } from "../platform/fault/fault.ts"

export interface QuotaShortage {
  resource: string
  asked: number
  used: number
  limit: number
}

export const quotaExceeded = fault(
  "over_quota",
  "quota.exceeded",
  (shortages: QuotaShortage[]) =>
    `Quota exceeded for ${shortages.map((s) => s.resource).join(", ")}: Requested ${shortages.map((s) => s.asked).join(", ")}, ` +
    `but already used ${shortages.map((s) => s.used).join(", ")} of ${shortages.map((s) => s.limit).join(", ")} ` +
    `${shortages.map((s) => s.resource).join(", ")}`,
  (shortages) => ({ shortages }),
)
