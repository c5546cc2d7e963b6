import type { Ctx } from "../platform/context/context.ts"
import { can } from "../platform/policy/can.ts"

/** Nova's `is_admin`: sees every project, passes locks. */
export function isAdmin(ctx: Ctx): boolean {
  return can(ctx, "compute:context_is_admin")
}
