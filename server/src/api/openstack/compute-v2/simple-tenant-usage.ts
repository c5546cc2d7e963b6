import {
  listProjectUsages,
  type ProjectUsage,
  type ServerUsage,
  showProjectUsage,
  type UsagePage,
} from "../../../compute/index.ts"
import type { Ctx } from "../../../platform/context/context.ts"
import { Fault, invalid } from "../../../platform/fault/fault.ts"
import { atLeast } from "../../../platform/http/microversion.ts"
import { pageUrl } from "../../../platform/http/paging.ts"
import { queryInteger, queryText } from "../../../platform/http/query.ts"
import { type Route, route, type WireRequest } from "../../../platform/http/wire.ts"
import { checkQueryNames } from "./query-names.ts"

const rules = "os_compute_api:os-simple-tenant-usage"

/** Without a zone, as Nova writes these times. */
const micros = (date: Date) => `${date.toISOString().slice(0, 23)}000`

function viewServer(usage: ServerUsage) {
  return {
    instance_id: usage.id,
    name: usage.name,
    tenant_id: usage.projectId,
    flavor: usage.flavorName,
    vcpus: usage.vcpus,
    memory_mb: usage.ramMib,
    local_gb: usage.diskGib,
    hours: usage.hours,
    started_at: micros(usage.launchedAt),
    ended_at: usage.terminatedAt && micros(usage.terminatedAt),
    state: usage.terminatedAt ? "terminated" : usage.vmState,
    uptime: usage.uptimeSeconds,
  }
}

function viewProject(usage: ProjectUsage, isDetailed: boolean) {
  return {
    tenant_id: usage.projectId,
    start: micros(usage.start),
    stop: micros(usage.end),
    total_hours: usage.hours,
    total_vcpus_usage: usage.vcpuHours,
    total_memory_mb_usage: usage.ramMibHours,
    total_local_gb_usage: usage.diskGibHours,
    ...(isDetailed && { server_usages: usage.servers.map(viewServer) }),
  }
}

// The three forms that Nova reads: seconds or parts of them after T, parts of them after a space.
const timeForm = /^(\d{4}-\d{2}-\d{2})(?:T(\d{2}:\d{2}:\d{2})(\.\d{1,6})?| (\d{2}:\d{2}:\d{2})(\.\d{1,6}))$/

/** A time of the query, which is UTC; null when it is left out. */
function timeOf(req: WireRequest, parameter: string): Date | null {
  const text = queryText(req.query, parameter)
  if (!text) return null
  const match = timeForm.exec(text)
  const [, day, time, fraction, spacedTime, spacedFraction] = match ?? []
  const milliseconds = (fraction ?? spacedFraction ?? ".000").padEnd(4, "0").slice(0, 4)
  const date = new Date(`${day}T${time ?? spacedTime}${milliseconds}Z`)
  if (!match || Number.isNaN(date.getTime()))
    throw invalid(
      parameter,
      `Invalid datetime string: ${JSON.stringify(text)} for ${parameter}; write it as 2025-01-31T23:59:59.`,
    )
  return date
}

function readRequest(req: WireRequest, more: readonly string[]) {
  const isPaged = atLeast(req.version, "2.40")
  checkQueryNames(req, ["start", "end", "limit", "marker", ...more])
  return {
    start: timeOf(req, "start"),
    end: timeOf(req, "end"),
    limit: isPaged ? (queryInteger(req.query, "limit", { min: 0 }) ?? null) : null,
    marker: isPaged ? (queryText(req.query, "marker") ?? null) : null,
  }
}

function links(ctx: Ctx, req: WireRequest, key: string, page: UsagePage) {
  if (!atLeast(req.version, "2.40") || page.nextMarker === null) return {}
  return { [key]: [{ rel: "next", href: pageUrl(ctx.baseUrl, req.url, { marker: page.nextMarker }) }] }
}

const noSuchUsage = () =>
  new Fault("not_found", "compute.usage.not_found", "The resource could not be found.")

export const usageRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/os-simple-tenant-usage",
    policy: [`${rules}:list`],
    handler: async (ctx, req) => {
      // The list has no slash at its end: there a project is named, and an empty name is nobody's.
      if (req.url.split("?")[0]?.endsWith("/")) throw noSuchUsage()
      const page = await listProjectUsages(ctx, readRequest(req, ["detailed"]))
      const isDetailed = queryText(req.query, "detailed") === "1"
      return {
        tenant_usages: page.projects.map((usage) => viewProject(usage, isDetailed)),
        ...links(ctx, req, "tenant_usages_links", page),
      }
    },
  }),
  route({
    method: "GET",
    path: "/os-simple-tenant-usage/{tenant_id}",
    policy: [`${rules}:show`],
    handler: async (ctx, req) => {
      const projectId = req.params.tenant_id ?? ""
      const page = await showProjectUsage(ctx, { projectId, ...readRequest(req, []) })
      const [usage] = page.projects
      return {
        tenant_usage: usage ? viewProject(usage, true) : {},
        ...links(ctx, req, "tenant_usage_links", page),
      }
    },
  }),
]
