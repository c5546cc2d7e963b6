// Which simulated hosts a cloud has, in its data directory; and which process runs which.
import { join } from "node:path"
import { readJson, writeJson } from "../cloud-dir.ts"

export const profiles = {
  small: { vcpus: 8, ramMib: 32_768, diskGib: 500 },
  medium: { vcpus: 32, ramMib: 131_072, diskGib: 2_000 },
  large: { vcpus: 96, ramMib: 524_288, diskGib: 10_000 },
} as const

export type ProfileName = keyof typeof profiles

export interface Fleet {
  /** In the order of their numbers: `sim-00001` is the first. */
  hosts: ProfileName[]
}

/** One process runs so many; more would make the news of one wait for those of all others. */
export const hostsOfProcess = 500
export const hostsMost = 10_000

const fleetPath = (dataDir: string) => join(dataDir, "fleet.json")

export function readFleet(dataDir: string): Fleet {
  return readJson<Fleet>(fleetPath(dataDir)) ?? { hosts: [] }
}

export function writeFleet(dataDir: string, fleet: Fleet): void {
  writeJson(fleetPath(dataDir), fleet, 0o600)
}

/** `number` from 1 on. */
export const simulatedName = (number: number) => `sim-${String(number).padStart(5, "0")}`

export const fleetProcessName = (at: number) => `fleet-${at + 1}`
export const fleetProcesses = ({ hosts }: Fleet) => Math.ceil(hosts.length / hostsOfProcess)
/** All that there can be, for who looks for what a killed cloud left. */
export const fleetProcessNames = Array.from({ length: hostsMost / hostsOfProcess }, (_, at) =>
  fleetProcessName(at),
)
