// Wants and what is told of them, as values.
import type { NetworkWant, Told } from "./network-driver.ts"

export const nothing: NetworkWant = {
  networks: [],
  subnets: [],
  ports: [],
  routers: [],
  floatingIps: [],
  portForwardings: [],
  securityGroups: [],
}

export const nouns = Object.keys(nothing) as readonly (keyof NetworkWant)[] // of a literal

export function told(ids: (noun: keyof Told) => Iterable<string>): Told {
  // Made of all its keys.
  return Object.fromEntries(nouns.map((noun) => [noun, [...new Set(ids(noun))]])) as unknown as Told
}

export function isNothing(ids: Told): boolean {
  return nouns.every((noun) => ids[noun].length === 0)
}
