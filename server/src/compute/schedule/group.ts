import type { Ctx } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"
import { badRequest } from "../faults.ts"
import type { Server } from "../server/server.ts"
import type { ScheduleRequest } from "./choose.ts"

/** The server group that the hint names, if the caller may use it; null without a hint. */
export async function checkGroup(_ctx: Ctx, hint: unknown, _count: number): Promise<string | null> {
  const id = Array.isArray(hint) ? hint[0] : hint
  if (id === undefined || id === null) return null
  throw badRequest(`Instance group ${String(id)} could not be found.`)
}

/** What the server's group asks of the host. */
export async function groupRequestOf(_tx: Tx, server: Server): Promise<ScheduleRequest["group"]> {
  if (server.serverGroupId === null) return null
  return null
}
