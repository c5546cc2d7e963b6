import type { Platform } from "../../platform/context/context.ts"
import { schedulerOf } from "./plugins.ts"

/** A filter that there is not, or a module that cannot be loaded, ends the start and not the first creation. */
export async function startScheduler(platform: Platform): Promise<undefined> {
  await schedulerOf(platform.config)
}
