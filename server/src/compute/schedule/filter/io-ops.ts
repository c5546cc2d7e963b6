import type { ScheduleOptions } from "../config.ts"
import { aggregateNumber, type HostState } from "../host-state.ts"
import type { Filter, Refusal } from "./filter.ts"

const key = "max_io_ops_per_host"

/** Few enough servers there that something is being done with. */
export const ioOpsFilter: Filter = {
  name: "IoOpsFilter",
  needs: ["ioOps"],
  refuse: (host, _request, options) => above(host, options.maxIoOpsPerHost),
}

/** The same, with the number that the host's aggregates say. */
export const aggregateIoOpsFilter: Filter = {
  name: "AggregateIoOpsFilter",
  needs: ["ioOps"],
  refuse: (host, _request, options) => above(host, mostOf(host, options)),
}

function mostOf(host: HostState, options: ScheduleOptions): number {
  return aggregateNumber(host, key) ?? options.maxIoOpsPerHost
}

function above({ ioOps }: HostState, most: number): Refusal | null {
  if (ioOps < most) return null
  return {
    why: `${ioOps} servers are being worked on there, at most ${most} may`,
    fix: `wait until one is done, or set ${key} to ${ioOps + 1}`,
    missing: { what: "servers being worked on", wanted: ioOps + 1, has: most },
  }
}
