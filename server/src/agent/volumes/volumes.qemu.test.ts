// Volumes in real guests (tcg): what one has written and flushed is there for the next, whatever ends the first.
import assert from "node:assert/strict"
import { createHash } from "node:crypto"
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, afterEach, before, test } from "node:test"
import { eventually, systemClock } from "../../platform/clock/clock.ts"
import { Fault } from "../../platform/fault/fault.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { silentLogger } from "../../platform/log/log.ts"
import { makeQemuAgent, type QemuAgent } from "../testing/qemu-agent.ts"
import { testRunAs } from "../testing/tiny-driver.ts"
import { makeTinyGuest, type TinyGuest } from "../testing/tiny-guest.ts"
import { type Guest, guestFence, VolumeGuests } from "../testing/volume-guests.ts"

const dataDir = mkdtempSync(join(tmpdir(), "kumoi-volume-guests-"))
const fence = guestFence
const mib = 1024 * 1024
const backend = "file"
let subject: QemuAgent
let tiny: TinyGuest
const guests = new VolumeGuests(dataDir, () => subject)

before(async () => {
  tiny = await makeTinyGuest(dataDir)
  subject = await makeAgent(dataDir)
})
afterEach(() => guests.destroyAll())
after(async () => {
  await subject.agent.release()
  rmSync(dataDir, { recursive: true })
})

async function makeAgent(dataDir: string, options: { unplugTimeoutMs?: number } = {}): Promise<QemuAgent> {
  const common = { dataDir, guest: tiny, clock: systemClock, log: silentLogger }
  const made = await makeQemuAgent({ ...common, qemu: { runAs: testRunAs, ...options } })
  await made.agent.recoverAll()
  return made
}

const lines = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, n) => `${from + n}\n`).join("")

async function write(guest: Guest, volumeId: string, from: number, to: number): Promise<void> {
  await guests.tell(guest, volumeId, `seq ${from} ${to} | dd of=/dev/$d bs=64k conv=fsync 2>/dev/null`)
}

async function sumIn(guest: Guest, volumeId: string, bytes: number): Promise<string> {
  return await guests.tell(guest, volumeId, `head -c ${bytes} /dev/$d | md5sum | cut -c1-32`)
}

function newCopy(volumeId: string) {
  const source = { kind: "volume", volumeId } as const
  return { volumeId: newUuid(), backend, sizeBytes: 64 * mib, source, fence }
}

const md5 = (data: string | Buffer) => createHash("md5").update(data).digest("hex")

test("what one guest wrote and let go of, another reads; a killed QEMU loses nothing that was flushed", async () => {
  const disk = await guests.makeVolume()
  const volumeId = disk.name
  const first = await guests.boot()
  await guests.plug(first, disk)
  // It was lent for the moment.
  assert.deepEqual(
    [statSync(guests.dataOf(volumeId)).uid, statSync(guests.dataOf(volumeId)).mode & 0o777],
    [process.getuid?.(), 0o600],
  )
  const text = lines(100_000, 120_000)
  await write(first, volumeId, 100_000, 120_000)
  assert.equal(await guests.tell(first, volumeId, "cat /sys/block/$d/size"), String((64 * mib) / 512))
  await guests.unplug(first, disk)
  await guests.unplug(first, disk)
  assert.equal(await guests.holderOf(volumeId), null)
  assert.equal(md5(readFileSync(guests.dataOf(volumeId)).subarray(0, text.length)), md5(text))

  const second = await guests.boot([disk])
  assert.equal(await sumIn(second, volumeId, text.length), md5(text))
  await assert.rejects(
    guests.plug(first, disk),
    (error) => error instanceof Fault && error.code === "agent.volume.in_use",
  )
  const again = lines(300_000, 320_000)
  await write(second, volumeId, 300_000, 320_000)
  const pid = await subject.hypervisor.processId({ serverId: second.serverId, driver: "qemu" })
  process.kill(pid, "SIGKILL")
  await eventually("the death to be seen", async () => {
    const { power } = await subject.agent.handle("vm.inspect", { serverId: second.serverId })
    return power === "crashed"
  })
  assert.equal(await guests.holderOf(volumeId), second.serverId)
  await guests.ensure(second)
  assert.equal(await sumIn(second, volumeId, again.length), md5(again))
  // What takes a copy of the root disk, or puts the machine aside, leaves the volume as it is.
  const { serverId } = second
  await subject.agent.handle("vm.snapshot", { serverId, imageId: newUuid(), fence })
  await subject.agent.handle("vm.set_aside", { serverId, why: "a test", fence: null })
  assert.equal(await guests.holderOf(volumeId), null)
  await guests.plug(first, disk)
  assert.equal(await sumIn(first, volumeId, again.length), md5(again))
  const remove = { volumeId, backend, fence }
  await assert.rejects(subject.agent.handle("volume.delete", remove))
  await guests.unplug(first, disk)
  await subject.agent.handle("volume.delete", remove)
  assert.equal(existsSync(guests.dataOf(volumeId)), false)
})

test("a volume that grows is larger in the running guest at once, and what it holds stays", async () => {
  const disk = await guests.makeVolume(32 * mib)
  const volumeId = disk.name
  const guest = await guests.boot([disk])
  await write(guest, volumeId, 1, 1_000)
  const extend = { volumeId, backend, sizeBytes: 96 * mib, fence }
  for (const _ of [1, 2]) await subject.agent.handle("volume.extend", extend)
  assert.equal(await guests.tell(guest, volumeId, "cat /sys/block/$d/size"), String((96 * mib) / 512))
  await guests.tell(guest, volumeId, "echo at the end | dd of=/dev/$d bs=512 seek=196607 2>/dev/null")
  assert.match(readFileSync(guests.dataOf(volumeId)).subarray(-512).toString(), /^at the end/)
  await subject.agent.handle("vm.suspend", { serverId: guest.serverId, fence })
  await subject.agent.handle("vm.ensure", { spec: guest.spec, power: "running", fence })
  assert.equal(await guests.tell(guest, volumeId, "head -c 4 /dev/$d | tr '\\n' ,"), "1,2,")
})

test("two guests have a shared volume at once, and each reads what the other has written", async () => {
  const alone = await guests.makeVolume(32 * mib)
  const source = { kind: "volume", volumeId: alone.name, backend, shared: true } as const
  const disk = { ...alone, source }
  const volumeId = disk.name
  const first = await guests.boot([disk])
  const second = await guests.boot()
  // As long as one of the two does not share it, it is the other's alone.
  const inUse = (error: unknown) => error instanceof Fault && error.code === "agent.volume.in_use"
  await assert.rejects(guests.plug(second, alone), inUse)
  await guests.plug(second, disk)
  const [one, two] = [lines(100_000, 120_000), lines(300_000, 320_000)]
  await write(first, volumeId, 100_000, 120_000)
  assert.equal(await sumIn(second, volumeId, one.length), md5(one))
  await write(second, volumeId, 300_000, 320_000)
  // What a guest keeps in its own memory is its own affair.
  await guests.tell(first, volumeId, "echo 3 > /proc/sys/vm/drop_caches")
  assert.equal(await sumIn(first, volumeId, two.length), md5(two))
  await subject.agent.handle("volume.extend", { volumeId, backend, sizeBytes: 64 * mib, fence })
  for (const guest of [first, second])
    assert.equal(await guests.tell(guest, volumeId, "cat /sys/block/$d/size"), String((64 * mib) / 512))
  // No moment is the same for both.
  const copy = newCopy(volumeId)
  const shared = (error: unknown) => error instanceof Fault && error.code === "agent.volume.shared"
  await assert.rejects(subject.agent.handle("volume.create", copy), shared)
  await guests.unplug(first, disk)
  await subject.agent.handle("volume.create", copy)
  assert.equal(md5(readFileSync(guests.dataOf(copy.volumeId)).subarray(0, two.length)), md5(two))
  assert.equal(await sumIn(second, volumeId, two.length), md5(two))
})

test("on q35 a volume of the start can be taken away as one that was plugged", async () => {
  const [given, plugged] = [await guests.makeVolume(), await guests.makeVolume()]
  const guest = await guests.boot([given], { hw_machine_type: "q35" })
  await guests.plug(guest, plugged)
  for (const { name } of [given, plugged]) {
    assert.equal(await guests.tell(guest, name, "cat /sys/block/$d/size"), String((64 * mib) / 512))
  }
  const { serverId, spec } = guest
  await guests.unplug(guest, given)
  await subject.agent.handle("vm.suspend", { serverId, fence })
  const kept = { ...spec, disks: [...spec.disks.filter(({ name }) => name !== given.name), plugged] }
  await subject.agent.handle("vm.ensure", { spec: kept, power: "running", fence })
  assert.equal(await guests.tell(guest, plugged.name, "cat /sys/block/$d/size"), String((64 * mib) / 512))
  await guests.unplug(guest, plugged)
  await guests.plug(guest, given)
  assert.equal(await guests.tell(guest, given.name, "cat /sys/block/$d/serial"), given.name.slice(0, 20))
})

test("a q35 machine has more volumes than the ports that an earlier program gave it", async () => {
  const given = await Promise.all(Array.from({ length: 12 }, () => guests.makeVolume(mib)))
  const guest = await guests.boot(given, { hw_machine_type: "q35" })
  const plugged = await guests.makeVolume()
  await guests.plug(guest, plugged)
  for (const { name, sizeBytes } of [...given.slice(-1), plugged]) {
    assert.equal(await guests.tell(guest, name, "cat /sys/block/$d/size"), String(sizeBytes / 512))
  }
  await subject.agent.handle("vm.suspend", { serverId: guest.serverId, fence })
  const spec = { ...guest.spec, disks: [...guest.spec.disks, plugged] }
  await subject.agent.handle("vm.ensure", { spec, power: "running", fence })
  await guests.unplug(guest, plugged)
})

test("a guest that does not let go keeps its volume; once it has, the next command finds it gone", async () => {
  const ownDir = join(dataDir, "impatient")
  const own = await makeAgent(ownDir, { unplugTimeoutMs: 3_000 })
  const { agent } = own
  const guests = new VolumeGuests(ownDir, () => own)
  const disk = await guests.makeVolume()
  const guest = await guests.boot([disk])
  const { serverId } = guest
  await agent.handle("vm.pause", { serverId, fence })
  await assert.rejects(
    guests.unplug(guest, disk),
    (error) => error instanceof Fault && error.code === "agent.machine.guest_keeps_device",
  )
  assert.equal(await guests.holderOf(disk.name), serverId)
  await agent.handle("vm.unpause", { serverId, fence })
  await eventually("the guest to let go", async () => {
    await guests.unplug(guest, disk)
    return true
  })
  assert.equal(await guests.holderOf(disk.name), null)
  await guests.destroyAll()
  await agent.release()
})
