// Hosts as hypervisors, as compute services and as what makes availability zones: for operators.
import { Type } from "typebox"
import type { Ctx, Platform } from "../../platform/context/context.ts"
import { Fault } from "../../platform/fault/fault.ts"
import { ListQuery } from "../../platform/noun/list.ts"
import { operation } from "../../platform/operation/operation.ts"
import { callAgent } from "../agent-call.ts"
import { badRequest, hostNotFound } from "../faults.ts"
import { type Host, isHostUp, zoneOf } from "./host.ts"
import { type HostLoad, selectHost, selectHostLoads, selectHosts, selectServersOfHost } from "./store.ts"

export interface HostFacts {
  host: Host
  zone: string
  isUp: boolean
  load: HostLoad
}

const noLoad = (host: string): HostLoad => ({ host, servers: 0, vcpus: 0, ramMib: 0, diskGib: 0 })

export async function selectHostFacts(platform: Platform, query: ListQuery): Promise<HostFacts[]> {
  const hosts = await selectHosts(platform.db, query)
  const names = hosts.map((host) => host.name)
  const loads = await selectHostLoads(platform.db, names)
  const downAfterMs = platform.config.compute.serviceDownAfterMs
  return hosts.map((host) => ({
    host,
    zone: zoneOf(platform, host),
    isUp: isHostUp(host, downAfterMs),
    load: loads.get(host.name) ?? noLoad(host.name),
  }))
}

/** Hosts; each call that shows them, or one of them, has its own rule. */
function listing(verb: string, rule: string, faults: readonly (typeof badRequest)[] = []) {
  return operation({
    name: `compute.host.${verb}`,
    input: ListQuery,
    faults,
    rule: `os_compute_api:${rule}`,
    target: (ctx) => ({ project_id: ctx.caller.projectId, user_id: ctx.caller.userId }),
    run: (ctx, query): Promise<HostFacts[]> => selectHostFacts(ctx, query),
  })
}

export const listHosts = listing("list", "os-hosts:show")
export const listHostsOfZones = listing("list_of_zones", "os-availability-zone:list")
/** The host that a page of hypervisors begins after may be none. */
const inPages = [badRequest]
export const listHypervisors = listing("list_hypervisors", "os-hypervisors:list", inPages)
export const listHypervisorDetails = listing("list_hypervisor_details", "os-hypervisors:list-detail", inPages)
export const findHypervisor = listing("find_hypervisor", "os-hypervisors:show")
export const findHypervisorForUptime = listing("find_hypervisor_for_uptime", "os-hypervisors:uptime")
export const sumHypervisors = listing("sum_hypervisors", "os-hypervisors:statistics")
export const searchHypervisors = listing("search_hypervisors", "os-hypervisors:search")
export const listHypervisorsWithServers = listing("list_hypervisors_with_servers", "os-hypervisors:servers")

export const listServersOfHost = operation({
  name: "compute.host.list_servers",
  input: Type.Object({ host: Type.String() }),
  rule: "os_compute_api:os-hypervisors:servers",
  target: (ctx) => ({ project_id: ctx.caller.projectId }),
  run: (ctx, input) => selectServersOfHost(ctx.db, input.host),
})

/** How long the host has been up, and its load, in the words of uptime(1). Null when it does not answer. */
function uptime(verb: string, rule: string) {
  return operation({
    name: `compute.host.${verb}`,
    input: Type.Object({ host: Type.String() }),
    faults: [hostNotFound],
    load: loadHost,
    rule: `os_compute_api:${rule}`,
    target: (ctx) => ({ project_id: ctx.caller.projectId }),
    run: async (ctx, _input, host): Promise<string | null> => {
      try {
        return (await callAgent(ctx, host.name, "host.uptime", {}, { timeoutMs: uptimeMs })).text
      } catch (error) {
        if (error instanceof Fault && error.kind === "unavailable") return null
        throw error
      }
    },
  })
}

/** One host that hangs must not hold up the list of all. */
const uptimeMs = 2_000

export const showHostUptime = uptime("uptime", "os-hypervisors:uptime")
/** As a part of the hypervisor. */
export const showHypervisorUptime = uptime("hypervisor_uptime", "os-hypervisors:show")

export async function loadHost(ctx: Ctx, input: { host: string }): Promise<Host> {
  const host = await selectHost(ctx.db, input.host)
  if (!host) throw hostNotFound(input.host)
  return host
}

/** For views that show the host's status beside each server. */
export async function hostsByName(ctx: Ctx): Promise<ReadonlyMap<string, Host>> {
  return new Map((await selectHosts(ctx.db)).map((host) => [host.name, host]))
}
