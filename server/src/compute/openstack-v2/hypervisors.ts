// Hypervisors: hosts by what they have, and what of it is taken.
import { Type } from "typebox"
import * as is from "../../api/openstack/shape.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { atLeast, type Microversion } from "../../platform/http/microversion.ts"
import { queryBoolean, queryText } from "../../platform/http/query.ts"
import { gone, versions } from "../../platform/http/versions.ts"
import { type Route, route, type WireRequest } from "../../platform/http/wire.ts"
import { anyObject } from "../../platform/schema/make.ts"
import {
  badRequest,
  findHypervisor,
  findHypervisorForUptime,
  type HostFacts,
  hypervisorNotFound,
  instanceNameOf,
  listHypervisorDetails,
  listHypervisors,
  listHypervisorsWithServers,
  listServersOfHost,
  noMatchingHypervisor,
  searchHypervisors,
  showHostUptime,
  showHypervisorUptime,
  sumHypervisors,
} from "../index.ts"
import { nextLink, readMarked } from "./next-link.ts"
import { toldQuery } from "./query-names.ts"
import { idKeyAt } from "./services.ts"

function viewHypervisorBrief(version: Microversion, { host, isUp }: HostFacts) {
  return {
    id: host[idKeyAt(version)],
    hypervisor_hostname: host.name,
    state: isUp ? "up" : "down",
    status: host.isDisabled ? "disabled" : "enabled",
  }
}

function viewHypervisor(version: Microversion, facts: HostFacts, uptime: string | null) {
  const { host } = facts
  const d = host.description
  const base = {
    ...viewHypervisorBrief(version, facts),
    hypervisor_type: d.hypervisorType,
    hypervisor_version: d.hypervisorVersion,
    host_ip: d.hostIp,
    service: {
      id: atLeast(version, "2.53") ? host.serviceId : host.number,
      host: host.name,
      disabled_reason: host.disabledReason,
    },
  }
  if (atLeast(version, "2.88")) return { ...base, uptime }
  const { cpuInfo } = d
  return {
    ...base,
    ...viewRoom(d, facts.load),
    cpu_info: atLeast(version, "2.28") ? cpuInfo : JSON.stringify(cpuInfo),
  }
}

interface Room {
  vcpus: number
  ramMib: number
  diskGib: number
}

/** What hosts have, and what their servers take of it. */
function viewRoom({ vcpus, ramMib, diskGib }: Room, load: Room & { servers: number }) {
  return {
    vcpus,
    memory_mb: ramMib,
    local_gb: diskGib,
    vcpus_used: load.vcpus,
    memory_mb_used: load.ramMib,
    local_gb_used: load.diskGib,
    free_ram_mb: ramMib - load.ramMib,
    free_disk_gb: diskGib - load.diskGib,
    current_workload: 0,
    running_vms: load.servers,
    disk_available_least: diskGib - load.diskGib,
  }
}

const { text, textOrNull, count, each, from, until, rare } = is
const id = versions({ "2.1": count, "2.53": text })
const briefHypervisor = { id, ...each("hypervisor_hostname state status", text) }
const roomNames =
  "vcpus memory_mb local_gb vcpus_used memory_mb_used local_gb_used free_ram_mb free_disk_gb " +
  "current_workload running_vms disk_available_least"
const servers = rare(Type.Array(Type.Object({ name: text, uuid: text })))
const shownHypervisor = is.shape("Hypervisor", {
  ...briefHypervisor,
  ...each("hypervisor_type host_ip", text),
  hypervisor_version: count,
  service: is.shape("ServiceOfHypervisor", { id, host: text, disabled_reason: textOrNull }),
  ...each(roomNames, until("2.88", count)),
  cpu_info: versions({ "2.1": text, "2.28": anyObject, "2.88": gone }),
  uptime: from("2.88", textOrNull),
  servers: from("2.53", servers),
})
const hypervisorBrief = is.shape("HypervisorBrief", { ...briefHypervisor, servers })
const withUptime = is.shape("HypervisorUptime", { ...briefHypervisor, uptime: text })
const summed = is.shape("HypervisorStatistics", { count, ...each(roomNames, count) })

/** Part of the hypervisor since 2.88; null for a host that does not answer. */
async function uptimeIn(ctx: Ctx, version: Microversion, facts: HostFacts): Promise<string | null> {
  if (!atLeast(version, "2.88") || !facts.isUp) return null
  return await showHypervisorUptime(ctx, { host: facts.host.name })
}

async function serversOf(ctx: Ctx, facts: HostFacts) {
  const servers = await listServersOfHost(ctx, { host: facts.host.name })
  return servers.map((server) => ({ name: instanceNameOf(server), uuid: server.id }))
}

const withServersOf = (req: WireRequest) =>
  atLeast(req.version, "2.53") && queryBoolean(req.query, "with_servers") === true

async function hypervisors(ctx: Ctx, req: WireRequest, isDetail: boolean) {
  const { version } = req
  const page = await pageOf(ctx, req, isDetail ? listHypervisorDetails : listHypervisors)
  const views: Record<string, unknown>[] = []
  for (const facts of page.hosts) {
    const view: Record<string, unknown> = isDetail
      ? viewHypervisor(version, facts, await uptimeIn(ctx, version, facts))
      : viewHypervisorBrief(version, facts)
    if (withServersOf(req)) {
      const servers = await serversOf(ctx, facts)
      if (servers.length > 0 || atLeast(version, "2.75")) view.servers = servers
    }
    views.push(view)
  }
  return { hypervisors: views, ...nextLink(ctx, req, "hypervisors", page.next) }
}

type HostList = typeof listHypervisors

async function pageOf(ctx: Ctx, req: WireRequest, list: HostList) {
  const isPaged = atLeast(req.version, "2.33")
  const { limit, marker } = readMarked(ctx, req, isPaged)
  const pattern =
    idKeyAt(req.version) === "id" ? queryText(req.query, "hypervisor_hostname_pattern") : undefined
  if (pattern !== undefined) {
    if (isPaged && ["limit", "marker"].some((name) => queryText(req.query, name) !== undefined))
      throw badRequest(
        "Paging over hypervisors with the hypervisor_hostname_pattern query parameter is not supported.",
      )
    return { hosts: await matching(ctx, list, pattern), next: null }
  }
  if (!isPaged) return { hosts: await list(ctx, {}), next: null }
  const hosts = await list(ctx, { page: { limit, marker: await markerOf(ctx, req, list, marker) } })
  const last = hosts.length === limit ? hosts.at(-1)?.host : undefined
  return { hosts, next: last && String(last[idKeyAt(req.version)]) }
}

/** The id of a host whose number the marker is. */
async function markerOf(ctx: Ctx, req: WireRequest, list: HostList, marker: string | null) {
  if (marker === null || idKeyAt(req.version) === "id") return marker
  const [found] = await list(ctx, { filters: { number: [marker] } })
  return found?.host.id ?? marker
}

async function matching(ctx: Ctx, list: HostList, pattern: string): Promise<HostFacts[]> {
  const found = await list(ctx, { filters: { namePart: [pattern] } })
  if (found.length === 0) throw noMatchingHypervisor(pattern)
  return found
}

async function hypervisorById(ctx: Ctx, req: WireRequest, list: HostList): Promise<HostFacts> {
  const id = req.params.hypervisor_id ?? ""
  const [found] = await list(ctx, { filters: { [idKeyAt(req.version)]: [id] } })
  if (!found) throw hypervisorNotFound(id)
  return found
}

async function statistics(ctx: Ctx) {
  const all = await sumHypervisors(ctx, {})
  const sum = (of: (facts: HostFacts) => number) => all.reduce((total, facts) => total + of(facts), 0)
  const room = {
    vcpus: sum(({ host }) => host.description.vcpus),
    ramMib: sum(({ host }) => host.description.ramMib),
    diskGib: sum(({ host }) => host.description.diskGib),
  }
  const load = {
    vcpus: sum(({ load }) => load.vcpus),
    ramMib: sum(({ load }) => load.ramMib),
    diskGib: sum(({ load }) => load.diskGib),
    servers: sum(({ load }) => load.servers),
  }
  return { hypervisor_statistics: { count: all.length, ...viewRoom(room, load) } }
}

const listParameters = ["limit", "marker", "hypervisor_hostname_pattern", "with_servers"]

export const hypervisorRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/os-hypervisors",
    operation: listHypervisors,
    told: { ...toldQuery(listParameters), ...is.page("hypervisors", hypervisorBrief) },
    alsoAsks: listServersOfHost,
    handler: (ctx, req) => hypervisors(ctx, req, false),
  }),
  route({
    method: "GET",
    path: "/os-hypervisors/detail",
    operation: listHypervisorDetails,
    told: { ...toldQuery(listParameters), ...is.page("hypervisors", shownHypervisor) },
    alsoAsks: [showHypervisorUptime, listServersOfHost],
    handler: (ctx, req) => hypervisors(ctx, req, true),
  }),
  route({
    method: "GET",
    path: "/os-hypervisors/statistics",
    max: "2.87",
    operation: sumHypervisors,
    told: is.one("hypervisor_statistics", summed),
    handler: statistics,
  }),
  route({
    method: "GET",
    path: "/os-hypervisors/{hypervisor_id}",
    operation: findHypervisor,
    told: { ...toldQuery(["with_servers"]), ...is.one("hypervisor", shownHypervisor) },
    alsoAsks: [showHypervisorUptime, listServersOfHost],
    handler: async (ctx, req) => {
      const facts = await hypervisorById(ctx, req, findHypervisor)
      return {
        hypervisor: {
          ...viewHypervisor(req.version, facts, await uptimeIn(ctx, req.version, facts)),
          ...(withServersOf(req) && { servers: await serversOf(ctx, facts) }),
        },
      }
    },
  }),
  route({
    method: "GET",
    path: "/os-hypervisors/{hypervisor_id}/uptime",
    max: "2.87",
    operation: [findHypervisorForUptime, showHostUptime],
    told: is.one("hypervisor", withUptime),
    handler: async (ctx, req) => {
      const facts = await hypervisorById(ctx, req, findHypervisorForUptime)
      const uptime = await showHostUptime(ctx, { host: facts.host.name })
      if (uptime === null) throw badRequest(`Compute host ${facts.host.name} does not answer now.`)
      return { hypervisor: { ...viewHypervisorBrief(req.version, facts), uptime } }
    },
  }),
  route({
    method: "GET",
    path: "/os-hypervisors/{pattern}/search",
    max: "2.52",
    operation: searchHypervisors,
    told: is.all("hypervisors", hypervisorBrief),
    handler: async (ctx, req) => {
      const found = await matching(ctx, searchHypervisors, req.params.pattern ?? "")
      return { hypervisors: found.map((facts) => viewHypervisorBrief(req.version, facts)) }
    },
  }),
  route({
    method: "GET",
    path: "/os-hypervisors/{pattern}/servers",
    max: "2.52",
    operation: [listHypervisorsWithServers, listServersOfHost],
    told: is.all("hypervisors", hypervisorBrief),
    handler: async (ctx, req) => {
      const found = await matching(ctx, listHypervisorsWithServers, req.params.pattern ?? "")
      const views: Record<string, unknown>[] = []
      for (const facts of found) {
        const servers = await serversOf(ctx, facts)
        views.push({ ...viewHypervisorBrief(req.version, facts), ...(servers.length > 0 && { servers }) })
      }
      return { hypervisors: views }
    },
  }),
]
