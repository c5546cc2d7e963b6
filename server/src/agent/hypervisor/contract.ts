// What every hypervisor driver promises, as one suite of tests. A driver's test file calls this with the means to
// open it, to describe a machine, and to play what a guest or the host does behind its back.
import assert from "node:assert/strict"
import { statSync } from "node:fs"
import { join } from "node:path"
import { after, before, describe, test } from "node:test"
import { eventually } from "../../platform/clock/clock.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { Bench, type ContractSubject, isFault, noticeMs } from "./contract-bench.ts"
import { volumeTests } from "./contract-volumes.ts"
import { canHotplugVifs, canReachGuests, canSnapshot, canSuspend, type Hypervisor } from "./hypervisor.ts"

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
    volumeTests(bench)
    factTests(bench)
  })
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
    const off = await bench.driver.ensure(await bench.input("running"), null)
    await bench.driver.setPower(off, "shutdown", { graceMs: 0 })
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
    const { input, handle } = await bench.shared()
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
    const off = await bench.driver.ensure(await bench.input("running"), null)
    await bench.driver.setPower(off, "shutdown", { graceMs: 0 })
    assert.equal((await bench.driver.diagnostics(off)).state, "shutdown")
    await bench.clear()
  })

  test("interfaces come and go while it runs, where the driver can", async (t) => {
    const { driver } = bench
    if (!canHotplugVifs(driver)) return t.skip("the driver cannot")
    const { handle } = await bench.shared()
    const vif = { portId: newUuid(), macAddress: "fa:16:3e:00:00:99", mtu: 1400, device: null }
    await driver.plugVif(handle, vif)
    await driver.plugVif(handle, vif)
    const macs = async () => (await driver.diagnostics(handle)).nics.map((nic) => nic.macAddress)
    assert.ok((await macs()).includes(vif.macAddress))
    await driver.unplugVif(handle, vif.portId)
    await driver.unplugVif(handle, vif.portId)
    assert.ok(!(await macs()).includes(vif.macAddress))
  })

  test("an interrupt reaches the guest of a machine that runs, where the driver can", async (t) => {
    const { driver } = bench
    if (!canReachGuests(driver)) return t.skip("the driver cannot")
    const { handle } = await bench.shared()
    await driver.injectNmi(handle)
    await eventually("the guest to have it", async () =>
      /NMI received/.test(await driver.consoleLog(handle, null)),
    )
    assert.equal(await bench.power(handle), "running")
    const off = await driver.ensure(await bench.input("running"), null)
    await driver.setPower(off, "shutdown", { graceMs: 0 })
    const isOff = isFault("agent.machine.wrong_state")
    await assert.rejects(driver.injectNmi(off), isOff)
    await assert.rejects(driver.setPassword(off, "root", "secret"), isOff)
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
