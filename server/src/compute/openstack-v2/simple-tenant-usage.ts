import { Type } from "typebox"
import * as is from "../../api/openstack/shape.ts"
import { view } from "../../api/openstack/view.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { invalid } from "../../platform/fault/fault.ts"
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

const { amount, count, links, many, noMembers, page, rare, text, textOrNull } = is

/** The period as it was asked for, to the microsecond that a Date does not have. */
interface Asked {
  start: string | null
  end: string | null
}

const serverUsage = view<ServerUsage>("ServerUsage", {
  ...{ instance_id: [text, "id"], name: [text, "name"], tenant_id: [text, "projectId"] },
  ...{ flavor: [text, "flavorName"], vcpus: [count, "vcpus"], memory_mb: [count, "ramMib"] },
  ...{ local_gb: [count, "diskGib"], hours: [amount, "hours"] },
  ...{ started_at: [text, "launchedAt"], ended_at: [textOrNull, "terminatedAt"] },
  state: [text, ({ terminatedAt, vmState }) => (terminatedAt ? "terminated" : vmState)],
  uptime: [count, "uptimeSeconds"],
})

type Usage = ProjectUsage & { asked: Asked; isDetailed: boolean }
const usageOf = (title: string, as: (servers: is.Shape) => is.Shape) =>
  view<Usage>(title, {
    tenant_id: [text, "projectId"],
    start: [text, ({ asked, start }) => asked.start ?? start],
    // What was asked for beyond now is cut there.
    stop: [
      text,
      ({ asked, end }) => (asked.end?.startsWith(end.toISOString().slice(0, 23)) ? asked.end : end),
    ],
    ...{ total_hours: [amount, "hours"], total_vcpus_usage: [amount, "vcpuHours"] },
    ...{ total_memory_mb_usage: [amount, "ramMibHours"], total_local_gb_usage: [amount, "diskGibHours"] },
    server_usages: [
      as(many(serverUsage.shows)),
      ({ isDetailed, servers }, ctx, asked) =>
        isDetailed ? servers.map((server) => serverUsage.show(ctx, asked, server)) : undefined,
    ],
  })
const listedUsage = usageOf("ProjectUsageInList", rare)
const shownUsage = usageOf("ProjectUsage", (servers) => servers)
const answer = Type.Object({
  tenant_usage: Type.Union([shownUsage.shows, noMembers]),
  tenant_usage_links: rare(links),
})

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

const linksOf = (ctx: Ctx, req: WireRequest, noun: string, page: UsagePage) =>
  nextLink(ctx, req, noun, atLeast(req.version, "2.40") ? page.nextMarker : null)

export const usageRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/os-simple-tenant-usage",
    operation: listProjectUsages,
    told: { ...toldQuery([...parameters, "detailed"]), ...page("tenant_usages", listedUsage.shows) },
    handler: async (ctx, req) => {
      const asked = askedOf(req)
      const page = await listProjectUsages(ctx, readRequest(req, asked, ["detailed"]))
      const isDetailed = queryText(req.query, "detailed") === "1"
      return {
        tenant_usages: page.projects.map((usage) =>
          listedUsage.show(ctx, req, { ...usage, asked, isDetailed }),
        ),
        ...linksOf(ctx, req, "tenant_usages", page),
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
        tenant_usage: usage ? shownUsage.show(ctx, req, { ...usage, asked, isDetailed: true }) : {},
        ...linksOf(ctx, req, "tenant_usage", page),
      }
    },
  }),
]
