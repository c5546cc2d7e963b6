import type { Platform } from "../platform/context/context.ts"
import { declareQuotaDefaults } from "../quota/index.ts"
import { listenToAgents } from "./host/report.ts"
import { configuredQuota } from "./quota/resources.ts"

/** What runs beside requests, and what requests need to know first. */
export async function startCompute(platform: Platform): Promise<AsyncDisposable> {
  declareQuotaDefaults("compute", configuredQuota(platform.config.compute))
  return await listenToAgents(platform)
}
