// The machines that the tests of a driver's contract are about.
import assert from "node:assert/strict"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { eventually } from "../../platform/clock/clock.ts"
import { Fault } from "../../platform/fault/fault.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import type { VmSpec } from "../protocol.ts"
import type { EnsureInput, Hypervisor, LocalVolume, VmEvent, VmHandle } from "./hypervisor.ts"

export interface ContractSubject<H extends Hypervisor = Hypervisor> {
  /** A driver over the same machines, as after a restart of the agent. */
  open(): Promise<H>
  input(serverId: string): Promise<Omit<EnsureInput, "power">>
  /** A blank volume, as a back end would have it opened. */
  volume(volumeId: string, sizeBytes: number): Promise<LocalVolume>
  /** The machine's process dies. */
  kill(hypervisor: H, handle: VmHandle): Promise<void>
  /** Somebody in the guest types `poweroff`. */
  guestPowersOff(hypervisor: H, handle: VmHandle): Promise<void>
  /** Somebody in the guest types `reboot`. */
  guestReboots(hypervisor: H, handle: VmHandle): Promise<void>
  /** How often the guest has come up, by its console log. */
  boots(hypervisor: H, handle: VmHandle): Promise<number>
  dispose(): Promise<void>
}

/** It takes some 100 ms; a busy machine may take its time. */
export const noticeMs = 60_000

/** One driver and one subject for the whole suite; a test's own machines are destroyed at its end. */
export class Bench<H extends Hypervisor> {
  readonly #make: () => Promise<ContractSubject<H>>
  readonly #made = new Set<string>()
  #subject: ContractSubject<H> | undefined
  #driver: H | undefined
  #shared: { input: EnsureInput; handle: VmHandle; knownBy: H } | undefined
  readonly directory = mkdtempSync(join(tmpdir(), "kumoi-contract-"))

  constructor(make: () => Promise<ContractSubject<H>>) {
    this.#make = make
  }

  get subject(): ContractSubject<H> {
    assert.ok(this.#subject)
    return this.#subject
  }

  get driver(): H {
    assert.ok(this.#driver)
    return this.#driver
  }

  async open(): Promise<void> {
    this.#subject = await this.#make()
    this.#driver = await this.#subject.open()
  }

  async close(): Promise<void> {
    if (this.#shared) this.#made.add(this.#shared.handle.serverId)
    await this.clear()
    await this.driver[Symbol.asyncDispose]()
    await this.subject.dispose()
    rmSync(this.directory, { recursive: true })
  }

  /** A machine that is up since an earlier test, for those that leave it as it was. */
  async shared(): Promise<{ input: EnsureInput; handle: VmHandle }> {
    const { driver } = this
    if (!this.#shared) {
      const input = await this.input("running")
      this.#made.delete(input.spec.serverId)
      const handle = await driver.ensure(input, null)
      this.#shared = { input, handle, knownBy: driver }
      await this.booted(handle, 1)
    }
    if (this.#shared.knownBy !== driver) await driver.recover(this.#shared.handle)
    this.#shared.knownBy = driver
    return this.#shared
  }

  async clear(): Promise<void> {
    for (const serverId of this.#made) await this.driver.destroy({ serverId, driver: this.driver.name })
    this.#made.clear()
  }

  /** The agent dies without a word, and another one opens the driver. */
  async restart(): Promise<H> {
    await this.driver[Symbol.asyncDispose]()
    this.#driver = await this.subject.open()
    return this.#driver
  }

  async input(power: EnsureInput["power"], change: (spec: VmSpec) => void = () => {}): Promise<EnsureInput> {
    const serverId = newUuid()
    this.#made.add(serverId)
    const input = await this.subject.input(serverId)
    change(input.spec)
    return { ...input, power }
  }

  async booted(handle: VmHandle, times: number): Promise<void> {
    const enough = async () => (await this.subject.boots(this.driver, handle)) >= times
    await eventually(`the guest to be up ${times} times`, enough)
  }

  power = async (handle: VmHandle) => (await this.driver.inspect(handle)).power

  /** The next event of that machine after `act`, within the promised time. */
  async eventAfter(handle: VmHandle, act: () => Promise<void>, withinMs: number): Promise<VmEvent> {
    const stop = new AbortController()
    const events = this.driver.events(stop.signal)
    await act()
    const timer = setTimeout(() => stop.abort(), withinMs)
    try {
      for await (const event of events) if (event.serverId === handle.serverId) return event
    } finally {
      clearTimeout(timer)
      stop.abort()
    }
    throw new Error(`no event within ${withinMs} ms`)
  }
}

export function isFault(code: string): (error: unknown) => boolean {
  return (error) => error instanceof Fault && error.code === code
}
