// In which order hosts that may have the server are tried. Pure.
import type { ScheduleOptions } from "./config.ts"
import { aggregateNumber, type HostState } from "./host-state.ts"
import type { ScheduleRequest } from "./request.ts"
import type { Weigher } from "./weigher/weigher.ts"

export interface Weighed {
  host: HostState
  weight: number
}

/** Best first; hosts that are as good as each other are in any order. */
export function weighHosts(
  hosts: readonly HostState[],
  request: ScheduleRequest,
  weighers: readonly Weigher[],
  options: ScheduleOptions,
  random: () => number = Math.random,
): Weighed[] {
  const weights = hosts.map(() => 0)
  for (const weigher of weighers) {
    const values = hosts.map((host) => weigher.valueOf(host, request))
    const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
    if (largest === 0) continue
    const usual = weigher.multiplier(options)
    hosts.forEach((host, i) => {
      const multiplier = aggregateNumber(host, weigher.multiplierKey) ?? usual
      weights[i] = (weights[i] ?? 0) + (multiplier * (values[i] ?? 0)) / largest
    })
  }
  const weighed = hosts.map((host, i) => ({ host, weight: weights[i] ?? 0 }))
  weighed.sort((a, b) => b.weight - a.weight)
  return shuffleAlike(weighed, options, random)
}

/** Runs of hosts whose weights are alike, each in an order of its own. */
function shuffleAlike(
  sorted: readonly Weighed[],
  { likeness, hostSubsetSize }: ScheduleOptions,
  random: () => number,
): Weighed[] {
  const order: Weighed[] = []
  while (order.length < sorted.length) {
    const best = sorted[order.length]?.weight ?? 0
    const end = sorted.findIndex((each, i) => i >= order.length && best - each.weight >= likeness)
    const alike = end < 0 ? sorted.length : Math.max(end, order.length + 1)
    const until = order.length === 0 ? Math.max(alike, Math.min(hostSubsetSize, sorted.length)) : alike
    order.push(...shuffle(sorted.slice(order.length, until), random))
  }
  return order
}

export function shuffle<T>(items: readonly T[], random: () => number): T[] {
  const lots = items.map((item) => ({ item, lot: random() }))
  return lots.sort((a, b) => a.lot - b.lot).map(({ item }) => item)
}
