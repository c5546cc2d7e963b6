import type { Ctx } from "../context/context.ts"
import type { PolicyTarget } from "./rule.ts"

/** Whether a rule lets the caller. For what is decided within an operation: what it sees, what it may pass over. */
export function can(ctx: Pick<Ctx, "policy" | "caller">, rule: string, target: PolicyTarget = {}): boolean {
  return ctx.policy.isAllowed(ctx.caller, rule, target)
}
