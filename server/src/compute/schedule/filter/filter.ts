// What a filter is: the interface for filters of one's own too (docs/how-to/add-a-scheduler-filter.md).
import type { ScheduleOptions } from "../config.ts"
import type { HostPart, HostState } from "../host-state.ts"
import type { ScheduleRequest } from "../request.ts"

export interface Filter {
  /** As it is named in `compute.schedule.enabledFilters`. */
  readonly name: string
  /** What it reads of hosts beyond what is always known; it costs something for each host. */
  readonly needs?: readonly HostPart[]
  /** Whether this request asks anything of it. Left out: every one does. */
  isAsked?(request: ScheduleRequest, options: ScheduleOptions): boolean
  /**
   * What it refuses anyhow, in words that the database knows, so that such hosts are not even read. Only saves work:
   * `refuse` decides.
   */
  narrow?(request: ScheduleRequest): Narrowing
  /** Why the host may not have the server; null: it may. */
  refuse(host: HostState, request: ScheduleRequest, options: ScheduleOptions): Refusal | null
}

/** Hosts outside of it are refused. */
export interface Narrowing {
  hosts?: readonly string[]
  notHosts?: readonly string[]
  zone?: string
  /** Neither disabled nor down. */
  isServing?: true
  /** Those that reach them all, or did not say which they reach. */
  physicalNetworks?: readonly string[]
}

export interface Refusal {
  /** For operators: what is with this host. */
  why: string
  /** The smallest change with which this host would be taken; null: there is none. */
  fix: string | null
  /** The number that was missing, where it is one. */
  missing?: { what: string; wanted: number; has: number }
  /** Whoever asked may know this of their request; names no host and nothing of others. Left out: nothing. */
  forUser?: string
}
