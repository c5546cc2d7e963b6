// The simulated hosts of a running cloud: beside real ones, for whoever wants to see how a cloud of many hosts behaves.
import { rmSync } from "node:fs"
import { join } from "node:path"
import type { VolumeBackEnd } from "../../agent/volumes/back-end-kinds.ts"
import { removeComputeHosts, selectHostFacts } from "../../compute/index.ts"
import type { Platform } from "../../platform/context/context.ts"
import { Fault } from "../../platform/fault/fault.ts"
import type { EngineSpec, Supervisor } from "../../platform/supervise/supervisor.ts"
import type { CloudDir } from "../cloud-dir.ts"
import {
  fleetProcesses,
  fleetProcessName,
  hostsMost,
  hostsOfProcess,
  type ProfileName,
  profiles,
  readFleet,
  simulatedName,
  writeFleet,
} from "./fleet-file.ts"
import { isReady } from "./ready.ts"

export type FleetQuestion =
  | { action: "add"; count: number; profile: ProfileName }
  | { action: "list" }
  | { action: "remove"; count: number | null }

export interface FleetAnswer {
  hosts: number
  up: number
  servers: number
  byProfile: Partial<Record<ProfileName, number>>
}

export interface FleetParts {
  dir: CloudDir
  supervisor: Supervisor
  /** Gives other processes of this machine the bus, and the streams of hosts; each opened once. */
  openBusSocket: () => Promise<string>
  openStreamSocket: () => Promise<string>
}

export class FleetKeeper {
  readonly #parts: FleetParts
  readonly #platform: Platform
  #turn: Promise<unknown> = Promise.resolve()

  constructor(platform: Platform, parts: FleetParts) {
    this.#platform = platform
    this.#parts = parts
  }

  /** Those of the file run again; with the cloud. */
  async start(): Promise<void> {
    for (let at = 0; at < fleetProcesses(readFleet(this.#parts.dir.path)); at++) await this.#startProcess(at)
  }

  /** One question at a time: the file and the processes are changed together. */
  async answer(question: unknown): Promise<FleetAnswer> {
    const asked = readQuestion(question)
    const turn = this.#turn.then(async () => {
      if (asked.action === "add") await this.#add(asked.count, asked.profile)
      if (asked.action === "remove") await this.#remove(asked.count)
      return await this.#describe()
    })
    this.#turn = turn.catch(() => {})
    return await turn
  }

  async #add(count: number, profile: ProfileName): Promise<void> {
    const { path } = this.#parts.dir
    const { hosts } = readFleet(path)
    if (hosts.length + count > hostsMost)
      throw new Fault("invalid", "cli.option.invalid", `A fleet has ${hostsMost} hosts at the most.`)
    const first = Math.floor(hosts.length / hostsOfProcess)
    hosts.push(...Array.from({ length: count }, () => profile))
    writeFleet(path, { hosts })
    // One that has room for more of them begins anew: its machines are files, and stay.
    for (let at = first; at < fleetProcesses({ hosts }); at++) await this.#startProcess(at)
  }

  /** From the last one on; null: all. */
  async #remove(count: number | null): Promise<void> {
    const { path } = this.#parts.dir
    const { hosts } = readFleet(path)
    const left = count === null ? 0 : Math.max(0, hosts.length - count)
    const names = hosts.slice(left).map((_, at) => simulatedName(left + at + 1))
    const facts = await this.#facts()
    const busy = facts.find(({ host, load }) => load.servers > 0 && names.includes(host.name))
    if (busy) {
      const message = `There are servers on ${busy.host.name}. Delete them first.`
      throw new Fault("conflict", "cli.fleet.busy", message)
    }
    const kept = Math.floor(left / hostsOfProcess)
    const before = fleetProcesses({ hosts })
    for (let at = kept; at < before; at++) await this.#parts.supervisor.stop(fleetProcessName(at))
    writeFleet(path, { hosts: hosts.slice(0, left) })
    await removeComputeHosts(this.#platform, names)
    for (const name of names) rmSync(join(path, "fleet", name), { recursive: true, force: true })
    for (let at = kept; at < fleetProcesses({ hosts: hosts.slice(0, left) }); at++)
      await this.#startProcess(at)
  }

  async #startProcess(at: number): Promise<void> {
    const { dir, supervisor, openBusSocket, openStreamSocket } = this.#parts
    const name = fleetProcessName(at)
    await supervisor.stop(name)
    const sockets = { busSocket: await openBusSocket(), streamSocket: await openStreamSocket() }
    const shared = this.#platform.config.agent.volumeBackEnds.filter(
      (each) => each.kind === "fake" && each.directory !== undefined,
    )
    await supervisor.start(processSpec(dir, { name, at, ...sockets, shared }))
  }

  async #facts() {
    return await selectHostFacts(this.#platform, { filters: { namePart: ["sim-"] } })
  }

  async #describe(): Promise<FleetAnswer> {
    const { hosts } = readFleet(this.#parts.dir.path)
    const facts = (await this.#facts()).filter(({ host }) => /^sim-\d{5}$/.test(host.name))
    const byProfile: FleetAnswer["byProfile"] = {}
    for (const profile of hosts) byProfile[profile] = (byProfile[profile] ?? 0) + 1
    return {
      hosts: hosts.length,
      up: facts.filter(({ isUp }) => isUp).length,
      servers: facts.reduce((sum, { load }) => sum + load.servers, 0),
      byProfile,
    }
  }
}

function processSpec(
  dir: CloudDir,
  {
    name,
    at,
    busSocket,
    streamSocket,
    shared,
  }: {
    name: string
    at: number
    busSocket: string
    streamSocket: string
    /** Back ends that the hosts have beside the cloud's own host. */
    shared: readonly VolumeBackEnd[]
  },
): EngineSpec {
  const ready = join(dir.runDir, `${name}.sock`)
  const cli = join(import.meta.dirname, "../../cli.ts")
  const level = process.env.KUMOI_LOG_LEVEL
  return {
    name,
    command: process.execPath,
    args: [
      ...[...process.execArgv, cli, "serve-fleet", dir.path, busSocket, streamSocket, String(at), ready],
      JSON.stringify(shared),
    ],
    env: level === undefined ? {} : { KUMOI_LOG_LEVEL: level },
    logFile: join(dir.logDir, `${name}.log`),
    isReady: () => isReady(ready),
    readyTimeoutMs: 120_000,
  }
}

function readQuestion(question: unknown): FleetQuestion {
  // Looked at below.
  const { action, count, profile } = (question ?? {}) as Record<string, unknown>
  const isCount = Number.isInteger(count) && Number(count) > 0
  if (action === "list") return { action }
  if (action === "add" && isCount && typeof profile === "string" && Object.hasOwn(profiles, profile))
    // One of its own names, as the line before says.
    return { action, count: Number(count), profile: profile as ProfileName }
  if (action === "remove" && (count === null || isCount))
    return { action, count: count === null ? null : Number(count) }
  throw new Fault("invalid", "cli.fleet_question", "That is no question about the fleet.")
}
