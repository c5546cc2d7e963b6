import type { Ctx } from "../../platform/context/context.ts"
import { isAdmin } from "../admin.ts"
import { serverNotFound } from "../faults.ts"
import type { Server } from "./server.ts"
import { selectServer } from "./store.ts"

/** The server if the caller may know of it: its own project's, or any for an administrator. */
export async function visibleServer(
  ctx: Ctx,
  serverId: string,
  options: { withDeleted?: boolean } = {},
): Promise<Server> {
  const server = await selectServer(ctx.db, serverId, options)
  if (!server || !maySee(ctx, server)) throw serverNotFound(serverId)
  return server
}

export function maySee(ctx: Ctx, server: Pick<Server, "projectId">): boolean {
  return server.projectId === ctx.caller.projectId || isAdmin(ctx)
}

export function targetOf(server: Pick<Server, "projectId" | "userId">) {
  return { project_id: server.projectId, user_id: server.userId }
}
