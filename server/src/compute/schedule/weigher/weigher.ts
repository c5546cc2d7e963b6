// What a weigher is. Its values are divided by the largest of them, so that they lie between -1 and 1, and multiplied;
// the host with the largest sum is the best.
import type { ScheduleOptions } from "../config.ts"
import type { HostPart, HostState } from "../host-state.ts"
import type { ScheduleRequest } from "../request.ts"

export interface Weigher {
  readonly name: string
  readonly needs?: readonly HostPart[]
  /** Of the metadata by which an aggregate says its own multiplier. */
  readonly multiplierKey: string
  multiplier(options: ScheduleOptions): number
  /** Left out: always. */
  isAsked?(request: ScheduleRequest): boolean
  valueOf(host: HostState, request: ScheduleRequest): number
}
