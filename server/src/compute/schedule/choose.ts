// Which hosts a server may go to, and in which order they are tried. Pure: facts in, an explained choice out.
import type { ScheduleOptions } from "./config.ts"
import { askedResourcesFilter } from "./filter/asked-resources.ts"
import { askedTraitsFilter } from "./filter/asked-traits.ts"
import type { Filter, Narrowing, Refusal } from "./filter/filter.ts"
import { forcedHostFilter } from "./filter/forced-host.ts"
import { guestHardwareFilter } from "./filter/guest-hardware.ts"
import { physicalNetworkFilter } from "./filter/physical-network.ts"
import { triedHostFilter } from "./filter/tried-host.ts"
import { volumeHostFilter } from "./filter/volume-host.ts"
import type { HostPart, HostState } from "./host-state.ts"
import type { Scheduler } from "./plugins.ts"
import type { ScheduleRequest } from "./request.ts"
import { weighHosts } from "./weigh.ts"
import type { Weigher } from "./weigher/weigher.ts"

/** What this request is asked by. */
export interface Asked {
  filters: readonly Filter[]
  weighers: readonly Weigher[]
  needs: ReadonlySet<HostPart>
  /** Hosts outside of it would all be refused. */
  narrowing: Narrowing
  options: ScheduleOptions
}

/** Whatever is enabled, and also of a host that an administrator named: it could not have the server. */
const alwaysAsked: readonly Filter[] = [
  triedHostFilter,
  forcedHostFilter,
  physicalNetworkFilter,
  volumeHostFilter,
  askedResourcesFilter,
  askedTraitsFilter,
  guestHardwareFilter,
]

export function askedBy(scheduler: Scheduler, request: ScheduleRequest): Asked {
  const { options } = scheduler
  const own = request.forcedHost === null ? scheduler.filters : []
  const filters = [...alwaysAsked, ...own].filter((filter) => filter.isAsked?.(request, options) ?? true)
  const weighers = scheduler.weighers.filter((weigher) => weigher.isAsked?.(request) ?? true)
  return {
    filters,
    weighers,
    needs: new Set([...filters, ...weighers].flatMap(({ needs }) => needs ?? [])),
    narrowing: mergeNarrowings(filters.map((filter) => filter.narrow?.(request) ?? {})),
    options,
  }
}

function mergeNarrowings(narrowings: readonly Narrowing[]): Narrowing {
  const all: Narrowing = {}
  for (const { hosts, notHosts, zone, isServing, physicalNetworks } of narrowings) {
    const before = all.hosts
    if (hosts) all.hosts = before ? before.filter((host) => hosts.includes(host)) : hosts
    if (notHosts) all.notHosts = [...(all.notHosts ?? []), ...notHosts]
    if (zone !== undefined) all.zone = zone
    if (isServing) all.isServing = true
    if (physicalNetworks) all.physicalNetworks = [...(all.physicalNetworks ?? []), ...physicalNetworks]
  }
  return all
}

/** The first filter that refuses the host. */
export function refusalOf(
  host: HostState,
  request: ScheduleRequest,
  { filters, options }: Asked,
): { filter: string; refusal: Refusal } | null {
  for (const filter of filters) {
    const refusal = filter.refuse(host, request, options)
    if (refusal) return { filter: filter.name, refusal }
  }
  return null
}

/** Those that may have the server, best first. */
export function chooseHosts(
  hosts: readonly HostState[],
  request: ScheduleRequest,
  asked: Asked,
  random?: () => number,
): HostState[] {
  const passed = hosts.filter((host) => refusalOf(host, request, asked) === null)
  return weighHosts(passed, request, asked.weighers, asked.options, random).map(({ host }) => host)
}
