// What the scheduler knows of a host while it decides.
import type { HostDescription } from "../../agent/protocol.ts"

/** A resource of a host, as placement has it. */
export interface HostRoom {
  /** What the host has. */
  total: number
  reserved: number
  /** (total − reserved) × overcommit ratio. */
  capacity: number
  used: number
  /** One server may have so much at the most. */
  maxUnit: number
}

export interface HostAggregate {
  id: number
  name: string
  metadata: Readonly<Record<string, string>>
}

export interface HostState {
  name: string
  providerId: string
  isUp: boolean
  isDisabled: boolean
  /** Availability zone. */
  zone: string
  /** By resource class; what the host has none of is not there. Of the rarer ones only for filters that need them. */
  rooms: Readonly<Record<string, HostRoom>>
  aggregates: readonly HostAggregate[]
  /** Builds that failed here since the last one that did not. */
  failedBuilds: number
  /** Only for filters and weighers that need it, as all below. */
  description: HostDescription | null
  instances: number
  /** Servers here that something is being done with. */
  ioOps: number
  /** That it reaches; null: it did not say, as where the network is simulated. */
  physicalNetworks: readonly string[] | null
  traits: readonly string[]
}

/** What costs something for each host, so that a filter or weigher says when it needs it. */
export type HostPart = "description" | "instances" | "ioOps" | "otherRooms" | "physicalNetworks" | "traits"

export function freeOf(host: HostState, resourceClass: string): number {
  const room = host.rooms[resourceClass]
  return room ? room.capacity - room.used : 0
}

/** All values that the host's aggregates give the key, of comma-separated lists each word. */
export function aggregateValues(host: HostState, key: string): Set<string> {
  const values = host.aggregates.flatMap(({ metadata }) => {
    const text = metadata[key]
    return text === undefined ? [] : text.split(",")
  })
  return new Set(values.map((value) => value.trim()))
}

/** The smallest number that an aggregate of the host gives the key; what is no number is left out. */
export function aggregateNumber(host: Pick<HostState, "aggregates">, key: string): number | undefined {
  const numbers = host.aggregates
    .map(({ metadata }) => metadata[key]?.trim() ?? "")
    .filter((text) => text !== "")
    .map(Number)
    .filter(Number.isFinite)
  return numbers.length === 0 ? undefined : Math.min(...numbers)
}
