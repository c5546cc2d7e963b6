import type { Platform } from "../platform/context/context.ts"
import { declareQuotaDefaults } from "../quota/index.ts"
import { configuredQuota } from "./quota/resources.ts"

/** What requests need to know first. */
export async function startCompute(platform: Platform): Promise<undefined> {
  declareQuotaDefaults("compute", configuredQuota(platform.config.compute))
  return undefined
}
