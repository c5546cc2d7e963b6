import type { Platform } from "../../platform/context/context.ts"
import { isHostUp } from "./host.ts"
import { selectHost } from "./store.ts"

/** Whether commands to the host can be expected to arrive. What is left on a dead host, the reconciler of machines removes when it is back. */
export async function isHostReachable(platform: Platform, name: string): Promise<boolean> {
  const host = await selectHost(platform.db, name)
  return host !== undefined && isHostUp(host, platform.config.compute.serviceDownAfterMs)
}
