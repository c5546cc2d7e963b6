import { count, each, one, shape, text, texts } from "../../api/openstack/shape.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { type Route, route, type WireRequest } from "../../platform/http/wire.ts"
import { anyObject } from "../../platform/schema/make.ts"
import { badRequest, showLastUsageAudit, showUsageAudit, type UsageAudit } from "../index.ts"

/** As Python writes a time that has no zone. */
const shown = (date: Date) => date.toISOString().slice(0, 19).replace("T", " ")

function viewAudit({ period, hosts }: UsageAudit) {
  return {
    period_beginning: shown(period.start),
    period_ending: shown(period.end),
    num_hosts: hosts.length,
    num_hosts_done: 0,
    num_hosts_running: 0,
    num_hosts_not_run: hosts.length,
    hosts_not_run: hosts,
    total_instances: 0,
    total_errors: 0,
    overall_status: `${hosts.length === 0 ? "ALL" : `0 of ${hosts.length}`} hosts done. 0 errors.`,
    log: {},
  }
}

const names = "num_hosts num_hosts_done num_hosts_running num_hosts_not_run total_instances total_errors"
const audit = shape("UsageAudit", {
  ...each("period_beginning period_ending overall_status", text),
  ...each(names, count),
  hosts_not_run: texts,
  log: anyObject,
})

const timeForm = /^(\d{4})-(\d{1,2})-(\d{1,2}) (\d{1,2}):(\d{1,2}):(\d{1,2})(?:\.(\d{1,6}))?$/

async function timeOf(ctx: Ctx, req: WireRequest): Promise<Date> {
  const text = req.params.before_timestamp ?? ""
  const [, year = "", ...rest] = timeForm.exec(text) ?? []
  const [month, day, hour, minute, second] = rest.slice(0, 5).map((part) => part.padStart(2, "0"))
  const millis = (rest[5] ?? "").padEnd(3, "0").slice(0, 3)
  const iso = `${year}-${month}-${day}T${hour}:${minute}:${second}.${millis}Z`
  const date = new Date(iso)
  // A day that the month does not have comes out as another one.
  if (Number.isNaN(date.getTime()) || date.toISOString() !== iso) {
    // Who may not ask is told that, and not what is no time.
    await showUsageAudit.admit(ctx, { before: new Date(0) })
    throw badRequest(`Invalid timestamp for date ${text}`)
  }
  return date
}

export const usageAuditRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/os-instance_usage_audit_log",
    operation: showLastUsageAudit,
    told: one("instance_usage_audit_logs", audit),
    handler: async (ctx) => ({
      instance_usage_audit_logs: viewAudit(await showLastUsageAudit(ctx, {})),
    }),
  }),
  route({
    method: "GET",
    path: "/os-instance_usage_audit_log/{before_timestamp}",
    operation: showUsageAudit,
    told: one("instance_usage_audit_log", audit),
    handler: async (ctx, req) => ({
      instance_usage_audit_log: viewAudit(await showUsageAudit(ctx, { before: await timeOf(ctx, req) })),
    }),
  }),
]
