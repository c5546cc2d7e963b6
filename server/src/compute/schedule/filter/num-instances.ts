import type { ScheduleOptions } from "../config.ts"
import { aggregateNumber, type HostState } from "../host-state.ts"
import type { Filter, Refusal } from "./filter.ts"

const key = "max_instances_per_host"

/** Few enough servers on the host. */
export const numInstancesFilter: Filter = {
  name: "NumInstancesFilter",
  needs: ["instances"],
  refuse: (host, _request, options) => above(host, options.maxInstancesPerHost),
}

/** The same, with the number that the host's aggregates say. */
export const aggregateNumInstancesFilter: Filter = {
  name: "AggregateNumInstancesFilter",
  needs: ["instances"],
  refuse: (host, _request, options) => above(host, mostOf(host, options)),
}

function mostOf(host: HostState, options: ScheduleOptions): number {
  return aggregateNumber(host, key) ?? options.maxInstancesPerHost
}

function above({ instances }: HostState, most: number): Refusal | null {
  if (instances < most) return null
  return {
    why: `${instances} servers are there, at most ${most} may be`,
    fix: `set ${key} to ${instances + 1}`,
    missing: { what: "servers", wanted: instances + 1, has: most },
  }
}
