// What every driver promises of volumes: the part of its contract that is about them.
import assert from "node:assert/strict"
import { join } from "node:path"
import { test } from "node:test"
import { eventually } from "../../platform/clock/clock.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import type { DiskSpec } from "../protocol.ts"
import { type Bench, isFault, noticeMs } from "./contract-bench.ts"
import { canPlugVolumes, canSuspend, type Hypervisor, type LocalVolume, type VmHandle } from "./hypervisor.ts"

const volumeBytes = 16 * 1024 * 1024

async function newVolume<H extends Hypervisor>(
  bench: Bench<H>,
): Promise<{ disk: DiskSpec; volume: LocalVolume }> {
  const volumeId = newUuid()
  const volume = await bench.subject.volume(volumeId, volumeBytes)
  const source = { kind: "volume" as const, volumeId, backend: "file" }
  return { disk: { name: volumeId, source, sizeBytes: volumeBytes, bus: "virtio", bootIndex: null }, volume }
}

export function volumeTests<H extends Hypervisor>(bench: Bench<H>): void {
  const has = async (handle: VmHandle, { name }: DiskSpec) =>
    (await bench.driver.diagnostics(handle)).disks.some((disk) => disk.name === name)
  /** Its guest has looked at it. */
  const isRead = async (handle: VmHandle, { name }: DiskSpec) => {
    const looked = async () => {
      const { disks } = await bench.driver.diagnostics(handle)
      return disks.some((disk) => disk.name === name && disk.readRequests > 0)
    }
    await eventually("the guest to look at the volume", looked)
  }

  test("volumes come and go while it runs, and a reboot keeps those that it has", async (t) => {
    const { driver } = bench
    if (!canPlugVolumes(driver)) return t.skip("the driver cannot")
    const handle = await driver.ensure(await bench.input("running"), null)
    await bench.booted(handle, 1)
    const [first, second] = [await newVolume(bench), await newVolume(bench)]
    for (const { disk, volume } of [first, second, first]) await driver.plugVolume(handle, disk, volume)
    for (const { disk } of [first, second]) await isRead(handle, disk)
    await driver.growVolume(handle, second.disk.name, 2 * volumeBytes)
    for (const _ of [1, 2]) await driver.unplugVolume(handle, first.disk.name)
    assert.equal(await has(handle, first.disk), false)
    await driver.reboot(handle, { hard: true, graceMs: 0 })
    await bench.booted(handle, 2)
    await isRead(handle, second.disk)
    await driver.unplugVolume(handle, second.disk.name)
    await driver.plugVolume(handle, first.disk, first.volume)
    await isRead(handle, first.disk)
    await bench.clear()
  })

  test("a volume is plugged into a machine that is off, is there when it starts, and goes when it is off", async (t) => {
    const { driver } = bench
    if (!canPlugVolumes(driver)) return t.skip("the driver cannot")
    const { disk, volume } = await newVolume(bench)
    const handle = await driver.ensure(await bench.input("shutdown"), null)
    for (const _ of [1, 2]) await driver.plugVolume(handle, disk, volume)
    await driver.setPower(handle, "running", { graceMs: 0 })
    await isRead(handle, disk)
    await driver.setPower(handle, "shutdown", { graceMs: 0 })
    for (const _ of [1, 2]) await driver.unplugVolume(handle, disk.name)
    assert.equal(await has(handle, disk), false)
    await driver.unplugVolume({ serverId: newUuid(), driver: driver.name }, disk.name)
    await bench.clear()
  })

  test("a volume that is shared is in two machines at once, and grows in both; others are in one", async (t) => {
    const { driver } = bench
    if (!canPlugVolumes(driver)) return t.skip("the driver cannot")
    const { disk: alone, volume } = await newVolume(bench)
    const source = { kind: "volume", volumeId: alone.name, backend: "file", shared: true } as const
    const disk = { ...alone, source }
    const given = await bench.input("running", (spec) => spec.disks.push(disk))
    given.volumes = { [disk.name]: volume }
    const first = await driver.ensure(given, null)
    const second = await driver.ensure(await bench.input("running"), null)
    await bench.booted(second, 1)
    await assert.rejects(driver.plugVolume(second, alone, volume), isFault("agent.volume.open_failed"))
    await driver.plugVolume(second, disk, volume)
    for (const handle of [first, second]) {
      await driver.growVolume(handle, disk.name, 2 * volumeBytes)
      await isRead(handle, disk)
    }
    await driver.unplugVolume(second, disk.name)
    assert.equal(await has(first, disk), true)
    await driver.plugVolume(second, disk, volume)
    await isRead(second, disk)
    await bench.clear()
  })

  test("volumes are copied once, by the driver or from outside, and the machine goes on as it was", async (t) => {
    const { driver } = bench
    if (!canPlugVolumes(driver)) return t.skip("the driver cannot")
    const volumes = [await newVolume(bench), await newVolume(bench)]
    const input = await bench.input("running", (spec) => spec.disks.push(...volumes.map(({ disk }) => disk)))
    input.volumes = Object.fromEntries(volumes.map(({ disk, volume }) => [disk.name, volume]))
    const handle = await driver.ensure(input, null)
    await bench.booted(handle, 1)
    const copies: string[] = []
    const copy = async () => {
      const wanted = volumes.map(({ disk }) => ({
        ...{ volumeId: disk.name, name: newUuid() },
        to: { kind: "file" as const, path: join(bench.directory, newUuid()) },
        copyStill: async () => void copies.push("still"),
        copyImage: async () => void copies.push("image"),
        signal: new AbortController().signal,
      }))
      for (const { end } of await driver.copyVolumes(handle, wanted)) await end()
      return copies.splice(0)
    }
    for (const power of ["running", "paused"] as const) {
      await driver.setPower(handle, power, { graceMs: 0 })
      assert.equal((await copy()).length, 2)
      assert.equal((await driver.inspect(handle)).power, power)
    }
    await driver.setPower(handle, "shutdown", { graceMs: 0 })
    assert.deepEqual(await copy(), ["still", "still"])
    await bench.clear()
  })

  test("a volume that was plugged or given with ensure outlives the machine's end and the driver's", async (t) => {
    if (!canPlugVolumes(bench.driver)) return t.skip("the driver cannot")
    const [given, plugged] = [await newVolume(bench), await newVolume(bench)]
    const input = await bench.input("running", (spec) => spec.disks.push(given.disk))
    input.volumes = { [given.disk.name]: given.volume }
    const handle = await bench.driver.ensure(input, null)
    await bench.booted(handle, 1)
    await bench.driver.plugVolume(handle, plugged.disk, plugged.volume)
    await bench.eventAfter(handle, () => bench.subject.kill(bench.driver, handle), noticeMs)
    await bench.driver.setPower(handle, "running", { graceMs: 0 })
    await bench.booted(handle, 2)
    const next = await bench.restart()
    assert.ok(canPlugVolumes(next))
    await next.recover(handle)
    for (const { disk } of [given, plugged]) {
      await isRead(handle, disk)
      await next.unplugVolume(handle, disk.name)
      assert.equal(await has(handle, disk), false)
    }
    // The next machine can have them.
    const other = await bench.input("running", (spec) => spec.disks.push(given.disk, plugged.disk))
    other.volumes = { [given.disk.name]: given.volume, [plugged.disk.name]: plugged.volume }
    const second = await next.ensure(other, null)
    for (const { disk } of [given, plugged]) await isRead(second, disk)
    await bench.clear()
  })

  test("an ensure of a machine that runs leaves it the volumes that it has", async (t) => {
    const { driver } = bench
    if (!canPlugVolumes(driver)) return t.skip("the driver cannot")
    const { disk, volume } = await newVolume(bench)
    const { input, handle } = await bench.shared()
    await driver.plugVolume(handle, disk, volume)
    await driver.ensure(input, handle)
    await isRead(handle, disk)
    await driver.unplugVolume(handle, disk.name)
  })

  test("a suspended machine keeps its volumes, and may be given another one", async (t) => {
    const { driver } = bench
    if (!canPlugVolumes(driver) || !canSuspend(driver)) return t.skip("the driver cannot")
    const [first, second, third] = [await newVolume(bench), await newVolume(bench), await newVolume(bench)]
    const handle = await driver.ensure(await bench.input("running"), null)
    await bench.booted(handle, 1)
    for (const { disk, volume } of [first, second]) await driver.plugVolume(handle, disk, volume)
    await isRead(handle, second.disk)
    await driver.unplugVolume(handle, first.disk.name)
    await driver.suspend(handle)
    await assert.rejects(driver.unplugVolume(handle, second.disk.name), isFault("agent.machine.wrong_state"))
    await driver.plugVolume(handle, third.disk, third.volume)
    await driver.plugVolume(handle, first.disk, first.volume)
    await driver.unplugVolume(handle, first.disk.name)
    await driver.setPower(handle, "running", { graceMs: 0 })
    assert.equal(await bench.subject.boots(driver, handle), 1)
    await isRead(handle, third.disk)
    for (const { disk } of [second, third]) await driver.unplugVolume(handle, disk.name)
    await bench.clear()
  })
}
