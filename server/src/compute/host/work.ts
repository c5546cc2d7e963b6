import type { Platform } from "../../platform/context/context.ts"
import { transact } from "../../platform/db/database.ts"
import { runControlServices } from "./control-service.ts"
import { refreshRatios } from "./ratio.ts"
import { listenToAgents } from "./report.ts"
import { answerStartRights } from "./start-rights.ts"

/** What the one process that works does beside sagas and reconcilers. */
export async function workForHosts(platform: Platform): Promise<AsyncDisposable> {
  // What the configuration says of single hosts may be new.
  await transact(platform.db, (tx) => refreshRatios(platform, tx))
  await using stack = new AsyncDisposableStack()
  stack.use(await listenToAgents(platform))
  stack.use(await answerStartRights(platform))
  stack.use(await runControlServices(platform))
  return stack.move()
}
