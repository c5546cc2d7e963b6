import type { Platform } from "../../platform/context/context.ts"
import { runControlServices } from "./control-service.ts"
import { listenToAgents } from "./report.ts"

/** What the one process that works does beside sagas and reconcilers. */
export async function workForHosts(platform: Platform): Promise<AsyncDisposable> {
  await using stack = new AsyncDisposableStack()
  stack.use(await listenToAgents(platform))
  stack.use(await runControlServices(platform))
  return stack.move()
}
