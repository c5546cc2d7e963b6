// How long operations take and how they end: a histogram for each operation and outcome, kept as plain numbers, as
// every request passes here. `/metrics` shows them.
import type { FaultKind } from "../fault/fault.ts"

/** Upper bounds in seconds. */
export const timeBounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10] as const

export type Outcome = "ok" | FaultKind

export interface Times {
  count: number
  sumSeconds: number
  /** By bound: how many took longer than the bound before and not longer than this one. */
  readonly counts: number[]
}

export class OperationTimes {
  readonly byOutcome = new Map<Outcome, Times>()

  add(outcome: Outcome, ms: number): void {
    let times = this.byOutcome.get(outcome)
    if (!times) {
      times = { count: 0, sumSeconds: 0, counts: timeBounds.map(() => 0) }
      this.byOutcome.set(outcome, times)
    }
    const seconds = ms / 1_000
    times.count++
    times.sumSeconds += seconds
    const at = timeBounds.findIndex((bound) => seconds <= bound)
    if (at >= 0) times.counts[at] = (times.counts[at] ?? 0) + 1
  }
}

const byOperation = new Map<string, OperationTimes>()

/** Where the operation notes its times. */
export function timesOf(operation: string): OperationTimes {
  const known = byOperation.get(operation)
  if (known) return known
  const times = new OperationTimes()
  byOperation.set(operation, times)
  return times
}

export function operationTimes(): ReadonlyMap<string, OperationTimes> {
  return byOperation
}
