// A further host of a test cloud, in the same process, that can be cut off, lose its power, and come back. Its machines
// are simulated; what they are made of outlives it.
import { join } from "node:path"
import { FakeHypervisor } from "../src/agent/hypervisor/fake/fake.ts"
import { agentDirectories } from "../src/agent/machine-store.ts"
import { FakePlugger } from "../src/agent/ports/fake-plugger.ts"
import { writeStateFile } from "../src/agent/state-file.ts"
import { MemoryBackups } from "../src/agent/testing/memory-backups.ts"
import type { VolumeDriver } from "../src/agent/volumes/volume-driver.ts"
import { type AgentRole, startAgentRole } from "../src/agent-role.ts"
import { noteHostLost, setHostDisabled } from "../src/compute/index.ts"
import type { Bus, Handler } from "../src/platform/bus/bus.ts"
import { eventually, systemClock } from "../src/platform/clock/clock.ts"
import type { Platform } from "../src/platform/context/context.ts"
import { Fault } from "../src/platform/fault/fault.ts"
import { silentLogger } from "../src/platform/log/log.ts"
import type {} from "../src/platform/streams/awaited-streams.ts"

const cutFault = () => new Fault("unavailable", "bus.connection_lost", "The cable is cut.")

/** The cloud's bus as a host has it whose network can be cut. */
class Cable implements Bus {
  readonly name = "cable"
  readonly #bus: Bus
  #cut = Promise.withResolvers<never>()
  #isCut = false

  constructor(bus: Bus) {
    this.#bus = bus
    this.#cut.promise.catch(() => {})
  }

  cut(): void {
    this.#isCut = true
    this.#cut.reject(cutFault())
  }

  mend(): void {
    if (!this.#isCut) return
    this.#isCut = false
    this.#cut = Promise.withResolvers()
    this.#cut.promise.catch(() => {})
  }

  /** What is under way when it is cut is not answered. */
  async #through<T>(run: () => Promise<T>): Promise<T> {
    if (this.#isCut) throw cutFault()
    return await Promise.race([run(), this.#cut.promise])
  }

  call(...asked: Parameters<Bus["call"]>): Promise<unknown> {
    return this.#through(() => this.#bus.call(...asked))
  }

  cast(...told: Parameters<Bus["cast"]>): Promise<void> {
    return this.#through(() => this.#bus.cast(...told))
  }

  publish(...told: Parameters<Bus["publish"]>): Promise<void> {
    return this.#through(() => this.#bus.publish(...told))
  }

  subscribe(...asked: Parameters<Bus["subscribe"]>): Promise<AsyncDisposable> {
    return this.#bus.subscribe(...asked)
  }

  serve(topic: string, handler: Handler): Promise<AsyncDisposable> {
    return this.#bus.serve(topic, (...asked) => this.#through(() => handler(...asked)))
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

export interface FarHostOptions {
  name: string
  volumes?: readonly VolumeDriver[]
}

export class FarHost implements AsyncDisposable {
  readonly name: string
  readonly dataDir: string
  readonly #platform: Platform
  readonly #volumes: readonly VolumeDriver[]
  readonly #cable: Cable
  #on: { role: AgentRole; hypervisor: FakeHypervisor } | null = null

  private constructor(platform: Platform, { name, volumes = [] }: FarHostOptions) {
    this.name = name
    this.dataDir = join(platform.config.dataDir, name)
    this.#platform = platform
    this.#volumes = volumes
    this.#cable = new Cable(platform.bus)
  }

  static async start(platform: Platform, options: FarHostOptions): Promise<FarHost> {
    const host = new FarHost(platform, options)
    await host.boot()
    await eventually(`${host.name} to be known`, () => setHostDisabled(platform, host.name, null))
    return host
  }

  get agent(): AgentRole["agent"] {
    return this.#mustBeOn().role.agent
  }

  get hypervisor(): FakeHypervisor {
    return this.#mustBeOn().hypervisor
  }

  #mustBeOn() {
    if (!this.#on) throw new Error(`${this.name} is off`)
    return this.#on
  }

  async boot(): Promise<void> {
    const { streams } = this.#platform.drivers
    if (!streams) throw new Error("the test cloud joins no streams")
    const clock = systemClock
    const hypervisor = new FakeHypervisor({
      ...{ host: this.name, hostIp: "127.0.0.1", dir: join(this.dataDir, "agent/fake"), clock },
      capacity: { vcpus: 64, ramMib: 262_144, diskGib: 10_000 },
    })
    const nothing = () => Promise.reject(new Error(`${this.name} has no images and keys`))
    const role = await startAgentRole(
      {
        config: { host: this.name, dataDir: this.dataDir },
        ...{ bus: this.#cable, clock, log: silentLogger },
      },
      {
        ...{ hypervisor, ports: new FakePlugger(), metadata: null, imageCacheBytes: null },
        volumes: this.#volumes,
      },
      {
        images: { open: nothing, store: nothing },
        backups: new MemoryBackups(),
        volumeKeys: { of: nothing, connect: nothing, ofTpm: nothing },
        streams: streams.dialer(this.name),
      },
    )
    this.#on = { role, hypervisor }
    role.agent.sayAlive()
  }

  /** For so short a time that nobody says it is lost; until `mend`. */
  unplug(): void {
    this.#cable.cut()
  }

  /** Its guests run on. */
  async cut(): Promise<void> {
    this.#cable.cut()
    await noteHostLost(this.#platform, this.name)
  }

  async mend(): Promise<void> {
    this.#cable.mend()
    this.#on?.role.agent.sayAlive()
  }

  /** The agent alone; its guests run on. */
  async killAgent(): Promise<void> {
    const { role } = this.#mustBeOn()
    this.#on = null
    await role.stop({ guests: "leave", graceMs: 0 })
    await noteHostLost(this.#platform, this.name)
  }

  /** The whole machine; when it boots, it boots anew. */
  async losePower(): Promise<void> {
    const { hypervisor } = this.#mustBeOn()
    this.#cable.cut()
    await this.killAgent()
    hypervisor.losePower()
    await writeStateFile(agentDirectories(this.dataDir).hostState, { bootId: `before-${Date.now()}` })
    this.#cable.mend()
  }

  /** As it is in good days. */
  async restore(): Promise<void> {
    await this.mend()
    if (!this.#on) await this.boot()
  }

  async powers(serverIds: readonly string[]): Promise<string[]> {
    const machines = await this.agent.handle("vm.list", {})
    return serverIds.map((id) => machines.find(({ serverId }) => serverId === id)?.state.power ?? "none")
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#on?.role.stop({ guests: "leave", graceMs: 0 })
    this.#on = null
  }
}
