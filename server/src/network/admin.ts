import type { Ctx } from "../platform/context/context.ts"
import { can } from "../platform/policy/can.ts"

/** Neutron's `is_admin`. */
export function isAdmin(ctx: Ctx): boolean {
  return can(ctx, "network:context_is_admin")
}
