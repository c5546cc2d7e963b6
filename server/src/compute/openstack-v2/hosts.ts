// Compute services, hypervisors, hosts and availability zones.

import { type Static, Type } from "typebox"
import { microsText } from "../../platform/clock/iso-time.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { atLeast, type Microversion } from "../../platform/http/microversion.ts"
import { boundedLimit } from "../../platform/http/paging.ts"
import { queryBoolean, queryInteger, queryText } from "../../platform/http/query.ts"
import { type Route, reply, route, type WireRequest } from "../../platform/http/wire.ts"
import { givenFilters } from "../../platform/noun/list.ts"
import { closed, word } from "../../platform/schema/make.ts"
import {
  badRequest,
  deleteComputeHost,
  deleteService,
  findHypervisor,
  findHypervisorForUptime,
  type HostFacts,
  hypervisorNotFound,
  instanceNameOf,
  listHostsOfZones,
  listHypervisorDetails,
  listHypervisors,
  listHypervisorsWithServers,
  listServersOfHost,
  listServices,
  listServicesOfZones,
  noMatchingHypervisor,
  type ServiceFacts,
  searchHypervisors,
  serviceNotFound,
  showHostUptime,
  showHypervisorUptime,
  sumHypervisors,
  updateComputeHost,
} from "../index.ts"
import { nextLink } from "./next-link.ts"
import { boolean, fqdn, readBoolean } from "./schema-parts.ts"

const computeBinary = "nova-compute"
function viewService(version: Microversion, service: ServiceFacts) {
  return {
    id: atLeast(version, "2.53") ? service.id : service.number,
    binary: service.binary,
    host: service.host,
    zone: service.zone,
    status: service.isDisabled ? "disabled" : "enabled",
    state: service.isUp ? "up" : "down",
    updated_at: microsText(service.lastSeenAt),
    disabled_reason: service.disabledReason,
    ...(atLeast(version, "2.11") && { forced_down: service.isForcedDown }),
  }
}

async function services(ctx: Ctx, req: WireRequest) {
  const asked = (name: string) => {
    const value = queryText(req.query, name)
    return value === undefined ? undefined : [value]
  }
  const filters = givenFilters({ host: asked("host"), binary: asked("binary") })
  const found = await listServices(ctx, { filters })
  return { services: found.map((service) => viewService(req.version, service)) }
}

const reason = Type.String({
  minLength: 1,
  maxLength: 255,
  pattern: "^(?!\\s)[^\\p{C}]*(?<!\\s)$",
})
const service = { host: fqdn, binary: Type.String({ minLength: 1, maxLength: 255 }) }
const named = ["host", "binary"] as const
const serviceBody = closed(service, named)
const disableBody = closed({ ...service, disabled_reason: reason }, [...named, "disabled_reason"])
const forceDownBody = closed({ ...service, forced_down: boolean }, [...named, "forced_down"])
const updateBody = closed({
  status: word(["enabled", "disabled"]),
  disabled_reason: reason,
  forced_down: boolean,
})

type ServiceBody = Static<typeof serviceBody> & Partial<Static<typeof disableBody>>

/** The calls of before 2.53 name the host in the body. */
async function setByHost(ctx: Ctx, req: WireRequest<ServiceBody>, change: "enable" | "disable") {
  const { host, disabled_reason } = req.body
  if (req.body.binary !== computeBinary) throw onlyCompute(req.body.binary)
  const isDisabled = change === "disable"
  const disabledReason = isDisabled ? (disabled_reason ?? null) : null
  await updateComputeHost(ctx, { host, changes: { isDisabled, disabledReason } })
  return {
    service: {
      host,
      binary: computeBinary,
      status: `${change}d`,
      ...(disabled_reason !== undefined && { disabled_reason }),
    },
  }
}

/** Nobody could tell what a disabled scheduler would do, so there is none. */
const onlyCompute = (binary: string) =>
  badRequest(`Updating a ${binary} service is not supported. Only nova-compute services can be updated.`)

async function serviceById(ctx: Ctx, req: WireRequest): Promise<ServiceFacts> {
  const id = req.params.service_id ?? ""
  const [found] = await listServices(ctx, { filters: { [idKeyAt(req)]: [id] } })
  if (!found) throw serviceNotFound(id)
  return found
}

/** Services and hypervisors are named by their numbers before 2.53. */
const idKeyAt = (req: WireRequest) => (atLeast(req.version, "2.53") ? "id" : "number")

async function updateService(ctx: Ctx, req: WireRequest<Static<typeof updateBody>>) {
  const { host, binary } = await serviceById(ctx, req)
  if (binary !== computeBinary) throw onlyCompute(binary)
  const { status, disabled_reason, forced_down } = req.body
  if (status === undefined && forced_down === undefined && disabled_reason === undefined)
    throw badRequest("No updates were requested. Fields 'status' or 'forced_down' should be specified.")
  if (disabled_reason !== undefined && status !== "disabled")
    throw badRequest("Specifying disabled_reason requires that status is disabled.")
  await updateComputeHost(ctx, {
    host,
    changes: {
      ...(status !== undefined && {
        isDisabled: status === "disabled",
        disabledReason: disabled_reason ?? null,
      }),
      ...(forced_down !== undefined && { isForcedDown: readBoolean(forced_down) }),
    },
  })
  return { service: viewService(req.version, await serviceById(ctx, req)) }
}

const serviceRoutes: readonly Route[] = [
  route({ method: "GET", path: "/os-services", operation: listServices, handler: services }),
  route({
    method: "PUT",
    path: "/os-services/enable",
    max: "2.52",
    operation: updateComputeHost,
    body: serviceBody,
    handler: (ctx, req) => setByHost(ctx, req, "enable"),
  }),
  route({
    method: "PUT",
    path: "/os-services/disable",
    max: "2.52",
    operation: updateComputeHost,
    body: serviceBody,
    handler: (ctx, req) => setByHost(ctx, req, "disable"),
  }),
  route({
    method: "PUT",
    path: "/os-services/disable-log-reason",
    max: "2.52",
    operation: updateComputeHost,
    body: disableBody,
    handler: (ctx, req) => setByHost(ctx, req, "disable"),
  }),
  route({
    method: "PUT",
    path: "/os-services/force-down",
    min: "2.11",
    max: "2.52",
    operation: updateComputeHost,
    body: forceDownBody,
    handler: async (ctx, req) => {
      const isForcedDown = readBoolean(req.body.forced_down)
      if (req.body.binary !== computeBinary) throw onlyCompute(req.body.binary)
      await updateComputeHost(ctx, { host: req.body.host, changes: { isForcedDown } })
      return { service: { host: req.body.host, binary: computeBinary, forced_down: isForcedDown } }
    },
  }),
  route({
    method: "PUT",
    path: "/os-services/{service_id}",
    min: "2.53",
    operation: updateComputeHost,
    alsoAsks: listServices,
    body: updateBody,
    handler: updateService,
  }),
  route({
    method: "DELETE",
    path: "/os-services/{service_id}",
    operation: [deleteComputeHost, deleteService],
    alsoAsks: listServices,
    handler: async (ctx, req) => {
      const { id, host, binary } = await serviceById(ctx, req)
      if (binary === computeBinary) await deleteComputeHost(ctx, { host })
      else await deleteService(ctx, { id })
      return reply(204)
    },
  }),
]

function viewHypervisorBrief(version: Microversion, { host, isUp }: HostFacts) {
  return {
    id: atLeast(version, "2.53") ? host.id : host.number,
    hypervisor_hostname: host.name,
    state: isUp ? "up" : "down",
    status: host.isDisabled ? "disabled" : "enabled",
  }
}

function viewHypervisor(version: Microversion, facts: HostFacts, uptime: string | null) {
  const { host, load } = facts
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
  return {
    ...base,
    vcpus: d.vcpus,
    memory_mb: d.ramMib,
    local_gb: d.diskGib,
    vcpus_used: load.vcpus,
    memory_mb_used: load.ramMib,
    local_gb_used: load.diskGib,
    free_ram_mb: d.ramMib - load.ramMib,
    free_disk_gb: d.diskGib - load.diskGib,
    current_workload: 0,
    running_vms: load.servers,
    disk_available_least: d.diskGib - load.diskGib,
    cpu_info: atLeast(version, "2.28") ? d.cpuInfo : JSON.stringify(d.cpuInfo),
  }
}

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
  const asked = isPaged ? queryInteger(req.query, "limit", { min: 0 }) : undefined
  const marker = isPaged ? queryText(req.query, "marker") : undefined
  const pattern = idKeyAt(req) === "id" ? queryText(req.query, "hypervisor_hostname_pattern") : undefined
  if (pattern !== undefined) {
    if (asked !== undefined || marker !== undefined)
      throw badRequest(
        "Paging over hypervisors with the hypervisor_hostname_pattern query parameter is not supported.",
      )
    return { hosts: await matching(ctx, list, pattern), next: null }
  }
  if (!isPaged) return { hosts: await list(ctx, {}), next: null }
  const limit = boundedLimit(asked, ctx.config.compute.listLimitMost)
  const hosts = await list(ctx, { page: { limit, marker: await markerOf(ctx, req, list, marker) } })
  const last = hosts.length === limit ? hosts.at(-1)?.host : undefined
  return { hosts, next: last && String(last[idKeyAt(req)]) }
}

/** The id of a host whose number the marker is. */
async function markerOf(ctx: Ctx, req: WireRequest, list: HostList, marker: string | undefined) {
  if (marker === undefined || idKeyAt(req) === "id") return marker ?? null
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
  const [found] = await list(ctx, { filters: { [idKeyAt(req)]: [id] } })
  if (!found) throw hypervisorNotFound(id)
  return found
}

async function statistics(ctx: Ctx) {
  const all = await sumHypervisors(ctx, {})
  const sum = (of: (facts: HostFacts) => number) => all.reduce((total, facts) => total + of(facts), 0)
  return {
    hypervisor_statistics: {
      count: all.length,
      vcpus: sum((f) => f.host.description.vcpus),
      memory_mb: sum((f) => f.host.description.ramMib),
      local_gb: sum((f) => f.host.description.diskGib),
      vcpus_used: sum((f) => f.load.vcpus),
      memory_mb_used: sum((f) => f.load.ramMib),
      local_gb_used: sum((f) => f.load.diskGib),
      free_ram_mb: sum((f) => f.host.description.ramMib - f.load.ramMib),
      free_disk_gb: sum((f) => f.host.description.diskGib - f.load.diskGib),
      current_workload: 0,
      running_vms: sum((f) => f.load.servers),
      disk_available_least: sum((f) => f.host.description.diskGib - f.load.diskGib),
    },
  }
}

const hypervisorRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/os-hypervisors",
    operation: listHypervisors,
    alsoAsks: listServersOfHost,
    handler: (ctx, req) => hypervisors(ctx, req, false),
  }),
  route({
    method: "GET",
    path: "/os-hypervisors/detail",
    operation: listHypervisorDetails,
    alsoAsks: [showHypervisorUptime, listServersOfHost],
    handler: (ctx, req) => hypervisors(ctx, req, true),
  }),
  route({
    method: "GET",
    path: "/os-hypervisors/statistics",
    max: "2.87",
    operation: sumHypervisors,
    handler: statistics,
  }),
  route({
    method: "GET",
    path: "/os-hypervisors/{hypervisor_id}",
    operation: findHypervisor,
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

/** Names, and which of them have a host that takes servers. */
async function zones(ctx: Ctx) {
  const byZone = Map.groupBy(await listHostsOfZones(ctx, {}), (facts) => facts.zone)
  const views = [...byZone].sort().map(([zoneName, hosts]) => ({
    zoneName,
    zoneState: { available: hosts.some(({ host }) => !host.isDisabled) },
    hosts: null,
  }))
  return { availabilityZoneInfo: views }
}

/** With the services of each host, and the zone of those that work for all hosts. */
async function zonesInDetail(ctx: Ctx) {
  const byZone = Map.groupBy(await listServicesOfZones(ctx, {}), (service) => service.zone)
  const views = [...byZone].sort().map(([zoneName, services]) => ({
    zoneName,
    zoneState: { available: services.some((service) => !service.isDisabled) },
    hosts: Object.fromEntries(
      [...Map.groupBy(services, (service) => service.host)].map(([host, there]) => [
        host,
        Object.fromEntries(
          there.map(({ binary, isUp, isDisabled, lastSeenAt }) => [
            binary,
            { available: isUp, active: !isDisabled, updated_at: microsText(lastSeenAt) },
          ]),
        ),
      ]),
    ),
  }))
  return { availabilityZoneInfo: views }
}

const zoneRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/os-availability-zone",
    operation: listHostsOfZones,
    handler: zones,
  }),
  route({
    method: "GET",
    path: "/os-availability-zone/detail",
    operation: listServicesOfZones,
    handler: zonesInDetail,
  }),
]

export const hostRoutes: readonly Route[] = [...serviceRoutes, ...hypervisorRoutes, ...zoneRoutes]
