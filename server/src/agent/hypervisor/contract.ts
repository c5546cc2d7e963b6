// What every hypervisor driver promises, as one suite of tests. A driver's test file calls this with the means to
// open it, to describe a machine, and to play what a guest or the host does behind its back.
import assert from "node:assert/strict"
import { mkdtempSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, before, describe, test } from "node:test"
import { eventually } from "../../platform/clock/clock.ts"
import { Fault } from "../../platform/fault/fault.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import type { VmSpec } from "../protocol.ts"
import {
  canHotplugVifs,
  canSnapshot,
  canSuspend,
  type EnsureInput,
  type Hypervisor,
  type VmEvent,
  type VmHandle,
} from "./hypervisor.ts"

export interface ContractSubject<H extends Hypervisor = Hypervisor> {
  /** A driver over the same machines, as after a restart of the agent. */
  open(): Promise<H>
  input(serverId: string): Promise<Omit<EnsureInput, "power">>
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
const noticeMs = 60_000
const graceMs = 240_000

export function hypervisorContract<H extends Hypervisor>(
  name: string,
  make: () => Promise<ContractSubject<H>>,
): void {
  describe(`hypervisor contract: ${name}`, () => {
    const bench = new Bench<H>(make)
    before(() => bench.open())
    after(() => bench.close())
    stateTests(bench)
    endTests(bench)
    restartTests(bench)
    suspendTests(bench)
    factTests(bench)
  })
}

/** One driver and one subject for the whole suite; every machine of a test is destroyed at its end. */
class Bench<H extends Hypervisor> {
  readonly #make: () => Promise<ContractSubject<H>>
  readonly #made = new Set<string>()
  #subject: ContractSubject<H> | undefined
  #driver: H | undefined
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
    await this.clear()
    await this.driver[Symbol.asyncDispose]()
    await this.subject.dispose()
    rmSync(this.directory, { recursive: true })
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

function isFault(code: string): (error: unknown) => boolean {
  return (error) => error instanceof Fault && error.code === code
}

function stateTests<H extends Hypervisor>(bench: Bench<H>): void {
  test("ensure makes a machine that is off, and setPower starts, pauses, continues and stops it", async () => {
    const input = await bench.input("shutdown")
    const handle = await bench.driver.ensure(input, null)
    assert.equal(await bench.power(handle), "shutdown")
    await assert.rejects(
      bench.driver.setPower(handle, "paused", { graceMs: 0 }),
      isFault("agent.machine.wrong_state"),
    )
    for (const to of ["running", "paused", "paused", "running", "running", "shutdown", "shutdown"] as const) {
      assert.equal((await bench.driver.setPower(handle, to, { graceMs: 0 })).power, to)
      assert.equal(await bench.power(handle), to)
    }
    await bench.clear()
  })

  test("ensure can be repeated, follows the wanted power, and starts a guest once", async () => {
    const input = await bench.input("running")
    const handle = await bench.driver.ensure(input, null)
    assert.equal(await bench.power(handle), "running")
    await bench.booted(handle, 1)
    // Without the handle too: the agent may have died before it could keep it.
    await bench.driver.ensure(input, null)
    await bench.driver.ensure({ ...input, power: "paused" }, handle)
    assert.equal(await bench.power(handle), "paused")
    await bench.driver.ensure(input, handle)
    assert.equal(await bench.power(handle), "running")
    assert.equal(await bench.subject.boots(bench.driver, handle), 1)
    await bench.clear()
  })

  test("a machine that was never made is absent, cannot be steered, and can be destroyed", async () => {
    const handle = { serverId: newUuid(), driver: bench.driver.name }
    assert.equal(await bench.power(handle), "absent")
    assert.equal((await bench.driver.recover(handle)).power, "absent")
    await assert.rejects(
      bench.driver.setPower(handle, "running", { graceMs: 0 }),
      isFault("agent.machine.not_found"),
    )
    await bench.driver.destroy(handle)
  })

  test("destroy ends a running machine, leaves nothing, and succeeds again", async () => {
    const handle = await bench.driver.ensure(await bench.input("running"), null)
    await bench.driver.destroy(handle)
    await bench.driver.destroy(handle)
    assert.equal(await bench.power(handle), "absent")
    assert.equal(await bench.driver.consoleLog(handle, null), "")
  })
}

function endTests<H extends Hypervisor>(bench: Bench<H>): void {
  test("a machine's sudden end is told within a second, with its reason", async () => {
    const handle = await bench.driver.ensure(await bench.input("running"), null)
    const event = await bench.eventAfter(handle, () => bench.subject.kill(bench.driver, handle), noticeMs)
    assert.equal(event.state.power, "crashed")
    assert.ok(event.state.reason)
    assert.equal(await bench.power(handle), "crashed")
    assert.equal((await bench.driver.setPower(handle, "running", { graceMs: 0 })).power, "running")
    await bench.clear()
  })

  test("a guest that powers itself off is shut down; one that reboots runs on", async () => {
    const handle = await bench.driver.ensure(await bench.input("running"), null)
    await bench.booted(handle, 1)
    await bench.subject.guestReboots(bench.driver, handle)
    await bench.booted(handle, 2)
    assert.equal(await bench.power(handle), "running")
    const off = () => bench.subject.guestPowersOff(bench.driver, handle)
    const event = await bench.eventAfter(handle, off, 10_000)
    assert.equal(event.state.power, "shutdown")
    assert.match(event.state.reason ?? "", /guest/)
    await bench.clear()
  })

  test("soft and hard reboot bring the guest up again, and the console log keeps what was said", async () => {
    const handle = await bench.driver.ensure(await bench.input("running"), null)
    await bench.booted(handle, 1)
    assert.equal((await bench.driver.reboot(handle, { hard: false, graceMs })).power, "running")
    await bench.booted(handle, 2)
    assert.equal((await bench.driver.reboot(handle, { hard: true, graceMs: 0 })).power, "running")
    await bench.booted(handle, 3)
    await bench.driver.setPower(handle, "shutdown", { graceMs })
    const all = await bench.driver.consoleLog(handle, null)
    assert.equal(await bench.driver.consoleLog(handle, 3), all.split("\n").slice(-3).join("\n"))
    assert.equal(await bench.driver.consoleLog(handle, 0), "")
    assert.equal(await bench.subject.boots(bench.driver, handle), 3)
    await bench.clear()
  })
}

function restartTests<H extends Hypervisor>(bench: Bench<H>): void {
  test("machines outlive the driver, and the next one finds each in its state", async () => {
    const running = await bench.driver.ensure(await bench.input("running"), null)
    const paused = await bench.driver.ensure(await bench.input("paused"), null)
    const off = await bench.driver.ensure(await bench.input("shutdown"), null)
    const driver = await bench.restart()
    assert.equal((await driver.recover(running)).power, "running")
    assert.equal((await driver.recover(paused)).power, "paused")
    assert.equal((await driver.recover(off)).power, "shutdown")
    assert.equal((await driver.setPower(running, "paused", { graceMs: 0 })).power, "paused")
    const event = await bench.eventAfter(paused, () => bench.subject.kill(driver, paused), noticeMs)
    assert.equal(event.state.power, "crashed")
    await bench.clear()
  })

  test("the next driver destroys what it never recovered", async () => {
    const handle = await bench.driver.ensure(await bench.input("running"), null)
    const driver = await bench.restart()
    await driver.destroy({ serverId: handle.serverId, driver: driver.name })
    assert.equal((await driver.recover(handle)).power, "absent")
  })
}

function suspendTests<H extends Hypervisor>(bench: Bench<H>): void {
  test("a suspended machine goes on where it was, also with the next driver", async (t) => {
    if (!canSuspend(bench.driver)) return t.skip("the driver cannot")
    const input = await bench.input("running")
    const handle = await bench.driver.ensure(input, null)
    await bench.booted(handle, 1)
    assert.equal((await bench.driver.suspend(handle)).power, "suspended")
    assert.equal((await bench.driver.suspend(handle)).power, "suspended")
    const driver = await bench.restart()
    assert.equal((await driver.recover(handle)).power, "suspended")
    assert.equal(await bench.power(handle), "suspended")
    await driver.ensure(input, handle)
    assert.equal(await bench.power(handle), "running")
    assert.equal(await bench.subject.boots(driver, handle), 1)
    // It is alive, and can be suspended again.
    assert.ok(canSuspend(driver))
    assert.equal((await driver.suspend(handle)).power, "suspended")
    assert.equal((await driver.setPower(handle, "running", { graceMs: 0 })).power, "running")
    await bench.subject.guestReboots(driver, handle)
    await bench.booted(handle, 2)
    await bench.clear()
  })

  test("a suspended machine that is stopped or destroyed forgets what it did", async (t) => {
    const { driver } = bench
    if (!canSuspend(driver)) return t.skip("the driver cannot")
    const input = await bench.input("running")
    const handle = await driver.ensure(input, null)
    await bench.booted(handle, 1)
    await driver.suspend(handle)
    assert.equal((await driver.setPower(handle, "shutdown", { graceMs })).power, "shutdown")
    await driver.setPower(handle, "running", { graceMs: 0 })
    await bench.booted(handle, 2)
    await driver.suspend(handle)
    await driver.destroy(handle)
    assert.equal(await bench.power(handle), "absent")
  })

  test("a machine that does not run cannot be suspended", async (t) => {
    const { driver } = bench
    if (!canSuspend(driver)) return t.skip("the driver cannot")
    for (const power of ["paused", "shutdown"] as const) {
      const handle = await driver.ensure(await bench.input(power), null)
      await assert.rejects(driver.suspend(handle), isFault("agent.machine.wrong_state"))
      assert.equal(await bench.power(handle), power)
    }
    await bench.clear()
  })
}

function factTests<H extends Hypervisor>(bench: Bench<H>): void {
  test("the description of the host is filled in", async () => {
    const host = await bench.driver.describe()
    assert.ok(host.vcpus > 0 && host.ramMib > 0 && host.diskGib > 0 && host.hypervisorVersion > 0)
    assert.notEqual(host.cpuInfo.model, "")
  })

  test("diagnostics name the machine's parts, also when it is off", async () => {
    const input = await bench.input("running")
    const handle = await bench.driver.ensure(input, null)
    await bench.booted(handle, 1)
    const on = await bench.driver.diagnostics(handle)
    assert.equal(on.state, "running")
    assert.equal(on.cpus.length, input.spec.vcpus)
    assert.ok((on.cpus[0]?.timeNs ?? 0) > 0)
    assert.deepEqual(
      on.disks.map((disk) => disk.name),
      input.spec.disks.map((disk) => disk.name),
    )
    assert.ok((on.disks[0]?.readRequests ?? 0) > 0)
    assert.equal(on.memoryMaximumMib, input.spec.ramMib)
    await bench.driver.setPower(handle, "shutdown", { graceMs: 0 })
    assert.equal((await bench.driver.diagnostics(handle)).state, "shutdown")
    await bench.clear()
  })

  test("interfaces come and go while it runs, where the driver can", async (t) => {
    const { driver } = bench
    if (!canHotplugVifs(driver)) return t.skip("the driver cannot")
    const input = await bench.input("running")
    const handle = await driver.ensure(input, null)
    await bench.booted(handle, 1)
    const vif = { portId: newUuid(), macAddress: "fa:16:3e:00:00:99", mtu: 1400, device: null }
    await driver.plugVif(handle, vif)
    await driver.plugVif(handle, vif)
    const macs = async () => (await driver.diagnostics(handle)).nics.map((nic) => nic.macAddress)
    assert.ok((await macs()).includes(vif.macAddress))
    await driver.unplugVif(handle, vif.portId)
    await driver.unplugVif(handle, vif.portId)
    assert.ok(!(await macs()).includes(vif.macAddress))
    await bench.clear()
  })

  test("a snapshot is taken of a running and of a stopped machine, where the driver can", async (t) => {
    const { driver } = bench
    if (!canSnapshot(driver)) return t.skip("the driver cannot")
    const handle = await driver.ensure(await bench.input("running"), null)
    for (const power of ["running", "shutdown"] as const) {
      const path = join(bench.directory, `${power}.qcow2`)
      await driver.setPower(handle, power, { graceMs: 0 })
      const { sizeBytes } = await driver.snapshot(handle, "root", path)
      assert.equal(sizeBytes, statSync(path).size)
      assert.equal(await bench.power(handle), power)
    }
    await bench.clear()
  })
}
