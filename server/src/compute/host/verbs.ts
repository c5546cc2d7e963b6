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

const rules = {
  services: "os_compute_api:os-services:list",
  host: "os_compute_api:os-hosts:show",
  hypervisors: "os_compute_api:os-hypervisors:list",
  hypervisorsDetail: "os_compute_api:os-hypervisors:list-detail",
  hypervisor: "os_compute_api:os-hypervisors:show",
  statistics: "os_compute_api:os-hypervisors:statistics",
  uptime: "os_compute_api:os-hypervisors:uptime",
  search: "os_compute_api:os-hypervisors:search",
  servers: "os_compute_api:os-hypervisors:servers",
  zones: "os_compute_api:os-availability-zone:list",
} as const

/** All hosts, for the purpose that names the rule. */
export const listHosts = operation({
  name: "compute.host.list",
  input: Type.Object({ purpose: Type.Enum(Object.keys(rules) as (keyof typeof rules)[]) }),
  authorize: (ctx, input) => [
    [rules[input.purpose], { project_id: ctx.caller.projectId, user_id: ctx.caller.userId }],
  ],
  run: (ctx): Promise<HostFacts[]> => selectAllHostFacts(ctx),
})

export const listServersOfHost = operation({
  name: "compute.host.list_servers",
  input: Type.Object({ host: Type.String() }),
  authorize: (ctx) => [[rules.servers, { project_id: ctx.caller.projectId }]],
  run: (ctx, input) => selectServersOfHost(ctx.db, input.host),
})

/** How long the host has been up, and its load, in the words of uptime(1). Null when it does not answer. */
export const showHostUptime = operation({
  name: "compute.host.uptime",
  input: Type.Object({
    host: Type.String(),
    purpose: Type.Union([Type.Literal("uptime"), Type.Literal("view")]),
  }),
  faults: [hostNotFound],
  load: (ctx, input) => existingHost(ctx, input.host),
  authorize: (ctx, { purpose }) => [
    [purpose === "uptime" ? rules.uptime : rules.hypervisor, { project_id: ctx.caller.projectId }],
  ],
  run: async (ctx, _input, host): Promise<string | null> => {
    try {
      return (await callAgent(ctx, host.name, "host.uptime", {}, { timeoutMs: uptimeMs })).text
    } catch (error) {
      if (error instanceof Fault && error.kind === "unavailable") return null
      throw error
    }
  },
})

/** One host that hangs must not hold up the list of all. */
const uptimeMs = 2_000

async function existingHost(ctx: Ctx, name: string): Promise<Host> {
  const host = await selectHost(ctx.db, name)
  if (!host) throw hostNotFound(name)
  return host
}

export const updateComputeHost = operation({
  name: "compute.host.update",
  input: Type.Object({
    host: Type.String(),
    isDisabled: Type.Optional(Type.Boolean()),
    disabledReason: Type.Optional(Type.Union([Type.String(), Type.Null()])),
    isForcedDown: Type.Optional(Type.Boolean()),
    /** Of the call that it was asked with. */
    rule: Type.Optional(Type.Literal("os_compute_api:os-hosts:update")),
  }),
  faults: [hostNotFound],
  load: (ctx, input) => existingHost(ctx, input.host),
  authorize: (ctx, { rule = "os_compute_api:os-services:update" }) => [
    [rule, { project_id: ctx.caller.projectId }],
  ],
  run: (ctx, { host, rule: _rule, ...changes }) =>
    transact(ctx.db, async (tx) => {
      const changed = await updateHost(tx, host, changes)
      if (!changed) throw hostNotFound(host)
      return changed
    }),
})

const verbRules = {
  start: "os_compute_api:os-hosts:start",
  shutdown: "os_compute_api:os-hosts:shutdown",
  reboot: "os_compute_api:os-hosts:reboot",
  maintain: "os_compute_api:os-hosts:update",
} as const

/** Of the host as a machine. Nova's driver for QEMU does none of these either, so there is only the refusal. */
export const commandHost = operation({
  name: "compute.host.command",
  input: Type.Object({
    host: Type.String(),
    verb: Type.Enum(Object.keys(verbRules) as (keyof typeof verbRules)[]),
  }),
  faults: [hostNotFound, hostVerbUnsupported],
  authorize: (ctx, { verb }) => [[verbRules[verb], { project_id: ctx.caller.projectId }]],
  run: async (ctx, { host }) => {
    await existingHost(ctx, host)
    throw hostVerbUnsupported()
  },
})

/** For a host that is gone for good. */
export const deleteComputeHost = operation({
  name: "compute.host.delete",
  input: Type.Object({ host: Type.String() }),
  faults: [hostNotFound, hostHasServers, hostIsUp],
  load: (ctx, input) => existingHost(ctx, input.host),
  authorize: (ctx) => [["os_compute_api:os-services:delete", { project_id: ctx.caller.projectId }]],
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
