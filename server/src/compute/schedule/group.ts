import type { Tx } from "../../platform/db/database.ts"
import type { Server } from "../server/server.ts"
import { selectGroupPlacement } from "../server-group/store.ts"
import type { ScheduleRequest } from "./choose.ts"

/** What the server's group asks of the host; the group is held, so that its servers choose one after the other. */
export async function groupRequestOf(tx: Tx, server: Server): Promise<ScheduleRequest["group"]> {
  if (server.serverGroupId === null) return null
  return await selectGroupPlacement(tx, server.serverGroupId, server.id)
}
