import { findProject } from "../identity/index.ts"
import type { Ctx } from "../platform/context/context.ts"
import { fault } from "../platform/fault/fault.ts"

export const projectInvalid = fault(
  "invalid",
  "compute.project_invalid",
  (projectId: string) => `Project ID ${projectId} is not a valid project.`,
)

/** Refuses a project that a request names and that there is not. */
export async function checkProject(ctx: Ctx, projectId: string): Promise<void> {
  // A caller's own project needs no look: its token says that it is there.
  if (projectId === ctx.caller.projectId) return
  if (!(await findProject(ctx, projectId))) throw projectInvalid(projectId)
}
