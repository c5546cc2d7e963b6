// Which projects a caller may name: others are as if they were not there.
import type { Ctx } from "../../platform/context/context.ts"
import { found } from "../faults.ts"
import { listProjectsOfUser } from "../token/own-scopes.ts"
import { projectTarget } from "./project.ts"
import { findPlace } from "./store.ts"

/** Throws 404 unless the caller is on it, has a role there, or may look at it. */
export async function requireKnownProject(ctx: Ctx, projectId: string): Promise<void> {
  if (ctx.caller.projectId === projectId) return
  const row = found(await findPlace(ctx.db, projectId), "project", projectId)
  if (ctx.policy.isAllowed(ctx.caller, "identity:get_project", projectTarget(row))) return
  const own = await listProjectsOfUser(ctx.db, ctx.caller.userId)
  found(own.find((project) => project.id === projectId) ?? null, "project", projectId)
}
