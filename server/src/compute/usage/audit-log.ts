// Whether each host has sent the usage of its servers for a period, as Nova's task log says it. Hosts here send none
// (Nova's `instance_usage_audit`, which is off there by default as well), so none has run.
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { operation } from "../../platform/operation/operation.ts"
import { selectHosts } from "../host/store.ts"
import type { Period } from "./usage.ts"

export interface UsageAudit {
  period: Period
  hosts: string[]
}

/** The last whole month, in UTC. One that ends at that very moment is not over yet. */
export function lastAuditPeriod(before: Date): Period {
  const month = (back: number) => {
    const first = new Date(0)
    first.setUTCFullYear(before.getUTCFullYear(), before.getUTCMonth() - back, 1)
    return first
  }
  const back = month(0) < before ? 0 : 1
  return { start: month(back + 1), end: month(back) }
}

async function auditBefore(ctx: Ctx, before: Date): Promise<UsageAudit> {
  return {
    period: lastAuditPeriod(before),
    hosts: (await selectHosts(ctx.db)).map((host) => host.name),
  }
}

export const showLastUsageAudit = operation({
  name: "compute.usage_audit.get_last",
  input: Type.Object({}),
  rule: "os_compute_api:os-instance-usage-audit-log:list",
  target: (ctx) => ({ project_id: ctx.caller.projectId }),
  run: (ctx) => auditBefore(ctx, ctx.clock.now()),
})

export const showUsageAudit = operation({
  name: "compute.usage_audit.get",
  input: Type.Object({ before: Type.Unsafe<Date>({}) }),
  rule: "os_compute_api:os-instance-usage-audit-log:show",
  target: (ctx) => ({ project_id: ctx.caller.projectId }),
  run: (ctx, { before }) => auditBefore(ctx, before),
})
