import { Type } from "typebox"
import * as is from "../../api/openstack/shape.ts"
import { microsText } from "../../platform/clock/iso-time.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { Fault, invalid } from "../../platform/fault/fault.ts"
import { atLeast } from "../../platform/http/microversion.ts"
import { queryInteger, queryText } from "../../platform/http/query.ts"
import { type Route, route, type WireRequest } from "../../platform/http/wire.ts"
import {
  listProjectUsages,
  type ProjectUsage,
  type ServerUsage,
  showProjectUsage,
  type UsagePage,
} from "../index.ts"
import { nextLink } from "./next-link.ts"
import { checkQueryNames, toldQuery } from "./query-names.ts"

const { count, each, many, page, rare, shape, text, textOrNull } = is

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
    started_at: microsText(usage.launchedAt),
    ended_at: usage.terminatedAt && microsText(usage.terminatedAt),
    state: usage.terminatedAt ? "terminated" : usage.vmState,
    uptime: usage.uptimeSeconds,
  }
}

/** The period as it was asked for, to the microsecond that a Date does not have. */
interface Asked {
  start: string | null
  end: string | null
}

function viewProject(usage: ProjectUsage, asked: Asked, isDetailed: boolean) {
  // What was asked for beyond now is cut there.
  const isEndKept = asked.end?.startsWith(usage.end.toISOString().slice(0, 23))
  return {
    tenant_id: usage.projectId,
    start: asked.start ?? microsText(usage.start),
    stop: isEndKept ? asked.end : microsText(usage.end),
    total_hours: usage.hours,
    total_vcpus_usage: usage.vcpuHours,
    total_memory_mb_usage: usage.ramMibHours,
    total_local_gb_usage: usage.diskGibHours,
    ...(isDetailed && { server_usages: usage.servers.map(viewServer) }),
  }
}

const serverUsage = Type.Object({
  ...each("instance_id name tenant_id flavor started_at state", text),
  ...each("vcpus memory_mb local_gb uptime", count),
  hours: is.amount,
  ended_at: textOrNull,
})
const usageMembers = {
  ...each("tenant_id start stop", text),
  ...each("total_hours total_vcpus_usage total_memory_mb_usage total_local_gb_usage", is.amount),
}
const usageOf = (title: string, server_usages: is.Shape) => shape(title, { ...usageMembers, server_usages })
const listedUsage = usageOf("ProjectUsageInList", rare(many(serverUsage)))
const shownUsage = Type.Union([usageOf("ProjectUsage", many(serverUsage)), is.noMembers])
const answer = Type.Object({ tenant_usage: shownUsage, tenant_usage_links: rare(is.links) })

// The three forms that Nova reads: seconds or parts of them after T, parts of them after a space.
const timeForm = /^(\d{4}-\d{2}-\d{2})(?:T(\d{2}:\d{2}:\d{2})(\.\d{1,6})?| (\d{2}:\d{2}:\d{2})(\.\d{1,6}))$/

/** A time of the query, which is UTC, with six digits of its second; null when it is left out. */
function timeOf(req: WireRequest, parameter: string): string | null {
  const text = queryText(req.query, parameter)
  if (!text) return null
  const match = timeForm.exec(text)
  const [, day, time, fraction, spacedTime, spacedFraction] = match ?? []
  const shown = `${day}T${time ?? spacedTime}${(fraction ?? spacedFraction ?? ".").padEnd(7, "0")}`
  const date = dateOf(shown)
  if (!match || Number.isNaN(date.getTime()))
    throw invalid(
      parameter,
      `Invalid datetime string: ${JSON.stringify(text)} for ${parameter}; write it as 2025-01-31T23:59:59.`,
    )
  return shown
}

const dateOf = (text: string) => new Date(`${text.slice(0, 23)}Z`)

function askedOf(req: WireRequest): Asked {
  return { start: timeOf(req, "start"), end: timeOf(req, "end") }
}

const parameters = ["start", "end", "limit", "marker"]

function readRequest(req: WireRequest, asked: Asked, more: readonly string[]) {
  const isPaged = atLeast(req.version, "2.40")
  checkQueryNames(req, [...parameters, ...more])
  return {
    start: asked.start === null ? null : dateOf(asked.start),
    end: asked.end === null ? null : dateOf(asked.end),
    limit: isPaged ? (queryInteger(req.query, "limit", { min: 0 }) ?? null) : null,
    marker: isPaged ? (queryText(req.query, "marker") ?? null) : null,
  }
}

const links = (ctx: Ctx, req: WireRequest, noun: string, page: UsagePage) =>
  nextLink(ctx, req, noun, atLeast(req.version, "2.40") ? page.nextMarker : null)

const noSuchUsage = () =>
  new Fault("not_found", "compute.usage.not_found", "The resource could not be found.")

export const usageRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/os-simple-tenant-usage",
    operation: listProjectUsages,
    told: { ...toldQuery([...parameters, "detailed"]), ...page("tenant_usages", listedUsage) },
    handler: async (ctx, req) => {
      // The list has no slash at its end: there a project is named, and an empty name is nobody's.
      if (req.url.split("?")[0]?.endsWith("/")) throw noSuchUsage()
      const asked = askedOf(req)
      const page = await listProjectUsages(ctx, readRequest(req, asked, ["detailed"]))
      const isDetailed = queryText(req.query, "detailed") === "1"
      return {
        tenant_usages: page.projects.map((usage) => viewProject(usage, asked, isDetailed)),
        ...links(ctx, req, "tenant_usages", page),
      }
    },
  }),
  route({
    method: "GET",
    path: "/os-simple-tenant-usage/{tenant_id}",
    operation: showProjectUsage,
    told: { ...toldQuery(parameters), answer },
    handler: async (ctx, req) => {
      const projectId = req.params.tenant_id ?? ""
      const asked = askedOf(req)
      const page = await showProjectUsage(ctx, { projectId, ...readRequest(req, asked, []) })
      const [usage] = page.projects
      return {
        tenant_usage: usage ? viewProject(usage, asked, true) : {},
        ...links(ctx, req, "tenant_usage", page),
      }
    },
  }),
]
