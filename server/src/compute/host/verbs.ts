// Compute services and hypervisors: for operators.
import { Type } from "typebox"
import { removeHostProvider } from "../../placement/index.ts"
import type { Ctx, Platform } from "../../platform/context/context.ts"
import { transact } from "../../platform/db/database.ts"
import { Fault } from "../../platform/fault/fault.ts"
import { operation } from "../../platform/operation/operation.ts"
import { callAgent } from "../agent-call.ts"
import { forgetAggregateHost } from "../aggregate/store.ts"
import { hostHasServers, hostIsUp, hostNotFound, hostVerbUnsupported } from "../faults.ts"
import { type Host, isHostUp } from "./host.ts"
import {
  deleteHost,
  type HostLoad,
  selectHost,
  selectHostLoads,
  selectHosts,
  selectServersOfHost,
  updateHost,
} from "./store.ts"
import { selectHostZones, zoneOfHost } from "./zone.ts"

export interface HostFacts {
  host: Host
  zone: string
  isUp: boolean
  load: HostLoad
}

const noLoad = (host: string): HostLoad => ({ host, servers: 0, vcpus: 0, ramMib: 0, diskGib: 0 })

export async function selectAllHostFacts(platform: Platform): Promise<HostFacts[]> {
  const [hosts, zones, loads] = await Promise.all([
    selectHosts(platform.db),
    selectHostZones(platform.db),
    selectHostLoads(platform.db),
  ])
  const downAfterMs = platform.config.compute.serviceDownAfterMs
  return hosts.map((host) => ({
    host,
    zone: zoneOfHost(platform, zones, host.name),
    isUp: isHostUp(host, downAfterMs),
    load: loads.get(host.name) ?? noLoad(host.name),
  }))
}

/** All hosts; each call that shows them, or one of them, has its own rule. */
function listing(verb: string, rule: string) {
  return operation({
    name: `compute.host.${verb}`,
    input: Type.Object({}),
    rule: `os_compute_api:${rule}`,
    target: (ctx) => ({ project_id: ctx.caller.projectId, user_id: ctx.caller.userId }),
    run: (ctx): Promise<HostFacts[]> => selectAllHostFacts(ctx),
  })
}

export const listHosts = listing("list", "os-hosts:show")
export const listHostsOfZones = listing("list_of_zones", "os-availability-zone:list")
export const listHypervisors = listing("list_hypervisors", "os-hypervisors:list")
export const listHypervisorDetails = listing("list_hypervisor_details", "os-hypervisors:list-detail")
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
    load: (ctx, input) => existingHost(ctx, input.host),
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

export const showHostUptime = uptime("uptime", "os-hypervisors:uptime")
/** As a part of the hypervisor. */
export const showHypervisorUptime = uptime("hypervisor_uptime", "os-hypervisors:show")

/** One host that hangs must not hold up the list of all. */
const uptimeMs = 2_000

async function existingHost(ctx: Ctx, name: string): Promise<Host> {
  const host = await selectHost(ctx.db, name)
  if (!host) throw hostNotFound(name)
  return host
}

function updating(verb: string, rule: string) {
  return operation({
    name: `compute.host.${verb}`,
    input: Type.Object({
      host: Type.String(),
      isDisabled: Type.Optional(Type.Boolean()),
      disabledReason: Type.Optional(Type.Union([Type.String(), Type.Null()])),
      isForcedDown: Type.Optional(Type.Boolean()),
    }),
    faults: [hostNotFound],
    load: (ctx, input) => existingHost(ctx, input.host),
    rule: `os_compute_api:${rule}`,
    target: (ctx) => ({ project_id: ctx.caller.projectId }),
    run: (ctx, { host, ...changes }) =>
      transact(ctx.db, async (tx) => {
        const changed = await updateHost(tx, host, changes)
        if (!changed) throw hostNotFound(host)
        return changed
      }),
  })
}

export const updateComputeHost = updating("update", "os-services:update")
/** The same as it was before there were services. */
export const updateOldHost = updating("update_old", "os-hosts:update")

/** Of the host as a machine. Nova's driver for QEMU does none of these either, so there is only the refusal. */
function command(verb: string, rule = verb) {
  return operation({
    name: `compute.host.${verb}`,
    input: Type.Object({ host: Type.String() }),
    faults: [hostNotFound, hostVerbUnsupported],
    rule: `os_compute_api:os-hosts:${rule}`,
    target: (ctx) => ({ project_id: ctx.caller.projectId }),
    run: async (ctx, { host }) => {
      await existingHost(ctx, host)
      throw hostVerbUnsupported()
    },
  })
}

export const hostCommands = {
  start: command("start"),
  shutdown: command("shutdown"),
  reboot: command("reboot"),
  maintain: command("maintain", "update"),
}

/** For a host that is gone for good. */
export const deleteComputeHost = operation({
  name: "compute.host.delete",
  input: Type.Object({ host: Type.String() }),
  faults: [hostNotFound, hostHasServers, hostIsUp],
  load: (ctx, input) => existingHost(ctx, input.host),
  rule: "os_compute_api:os-services:delete",
  target: (ctx) => ({ project_id: ctx.caller.projectId }),
  run: (ctx, _input, host) =>
    transact(ctx.db, async (tx) => {
      if ((await selectServersOfHost(tx, host.name)).length > 0) throw hostHasServers()
      if (isHostUp(host, ctx.config.compute.serviceDownAfterMs)) throw hostIsUp(host.name)
      await removeHostProvider(tx, host.id)
      await forgetAggregateHost(tx, host.name)
      await deleteHost(tx, host.name)
    }),
})

/** For views that show the host's status beside each server. */
export async function hostsByName(ctx: Ctx): Promise<ReadonlyMap<string, Host>> {
  return new Map((await selectHosts(ctx.db)).map((host) => [host.name, host]))
}
