// Copies of volumes that real guests (tcg) have: each is the volume as it was at one moment.
import assert from "node:assert/strict"
import { createHash } from "node:crypto"
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { after, afterEach, before, test } from "node:test"
import { eventually, systemClock } from "../../platform/clock/clock.ts"
import { exec } from "../../platform/exec/exec.ts"
import { Fault } from "../../platform/fault/fault.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { silentLogger } from "../../platform/log/log.ts"
import { agentVolumeCopyBroken } from "../faults.ts"
import { agentDirectories } from "../machine-store.ts"
import type { DiskSpec, VmSpec } from "../protocol.ts"
import {
  counted,
  countedIn,
  makeFullVolume as makeFullIn,
  startCounting as startCountingIn,
  stopCounting as stopCountingIn,
} from "../testing/counting-guest.ts"
import { fileVolume, makeQemuAgent, type QemuAgent, tinySpec } from "../testing/qemu-agent.ts"
import { testRunAs } from "../testing/tiny-driver.ts"
import { makeTinyGuest } from "../testing/tiny-guest.ts"
import { guestFence as fence, type Guest, VolumeGuests } from "../testing/volume-guests.ts"

const dataDir = mkdtempSync(join(tmpdir(), "kumoi-volume-copies-"))
const uploadsDir = agentDirectories(dataDir).volumeUploads
const mib = 1024 * 1024
const backend = "file"
let subject: QemuAgent
const guests = new VolumeGuests(dataDir, () => subject)
/** What the store was given, by image. */
const stored = new Map<string, Buffer>()

/** A disk from which the machine's firmware starts a program that says this on the serial line. */
function bootDisk(says: string): Buffer {
  const program = "31c08ed8be157cbaf803ac84c07403eeebf8f4ebfd"
  const disk = Buffer.alloc(mib)
  disk.set(Buffer.concat([Buffer.from(program, "hex"), Buffer.from(`${says}\r\n\0`)]))
  disk.writeUInt16LE(0xaa55, 510)
  return disk
}

const bootImage = bootDisk("STARTED FROM A VOLUME")
const rescueImage = bootDisk("STARTED FROM THE RESCUE DISK")

before(async () => {
  const guest = await makeTinyGuest(dataDir)
  const common = { dataDir, guest, clock: systemClock, log: silentLogger }
  const images: Record<string, string> = {}
  for (const [name, data] of Object.entries({ bootable: bootImage, rescue: rescueImage })) {
    images[name] = join(dataDir, name)
    writeFileSync(images[name], data)
  }
  images.bootableQcow2 = join(dataDir, "bootable.qcow2")
  await exec("qemu-img", [
    "convert",
    "-f",
    "raw",
    "-O",
    "qcow2",
    join(dataDir, "bootable"),
    images.bootableQcow2,
  ])
  const store = async (imageId: string, _ticket: string, path: string) => {
    stored.set(imageId, readFileSync(path))
  }
  subject = await makeQemuAgent({ ...common, images, store, qemu: { runAs: testRunAs } })
  await subject.agent.recoverAll()
})
afterEach(() => guests.clear())
after(async () => {
  await guests.destroyAll()
  await subject.agent.release()
  rmSync(dataDir, { recursive: true })
})

const md5 = (data: Buffer) => createHash("md5").update(data).digest("hex")

const copyOf = (volumeId: string, sizeBytes: number, copyId = newUuid()) => ({
  ...{ volumeId: copyId, backend, sizeBytes, fence },
  source: { kind: "volume" as const, volumeId },
})

const directoryOf = (volumeId: string) => dirname(guests.dataOf(volumeId))

/** QEMU has written to where the volume is copied on the way. */
async function begun(copyId: string): Promise<void> {
  const hasData = () => {
    const names = existsSync(directoryOf(copyId)) ? readdirSync(directoryOf(copyId)) : []
    const taken = names.find((name) => name.endsWith(".taken.tmp"))
    return taken !== undefined && statSync(join(directoryOf(copyId), taken)).blocks * 512 > mib
  }
  await eventually("the copy to begin", hasData, { intervalMs: 2 })
}

async function copy(volumeId: string, sizeBytes: number): Promise<Buffer> {
  const create = copyOf(volumeId, sizeBytes)
  const facts = await subject.agent.handle("volume.create", create)
  assert.equal(facts.sizeBytes, sizeBytes)
  assert.deepEqual(readdirSync(dirname(guests.dataOf(create.volumeId))).sort(), ["volume.json", "volume.raw"])
  assert.equal(statSync(guests.dataOf(create.volumeId)).uid, process.getuid?.())
  return readFileSync(guests.dataOf(create.volumeId))
}

const isRoot = process.getuid?.() === 0
const makeFullVolume = (sizeBytes: number) => makeFullIn(guests, sizeBytes)
const startCounting = (guest: Guest, disk: DiskSpec) => startCountingIn(guests, guest, disk)
const stopCounting = (guest: Guest, disk: DiskSpec) => stopCountingIn(guests, guest, disk)
const countNow = async (disk: DiskSpec) => countedIn(guests.dataOf(disk.name), disk)

async function hasCountedPast(disk: DiskSpec, n: number): Promise<void> {
  await eventually(`the guest to count past ${n}`, async () => (await countNow(disk)).end > n)
}

test("a copy of a volume that a guest writes to is of one moment, and the guest goes on", async () => {
  const disk = await makeFullVolume(256 * mib)
  const guest = await guests.share(disk)
  await startCounting(guest, disk)
  let most = 0
  for (const power of ["running", "paused", "running"] as const) {
    await hasCountedPast(disk, most + 5)
    const { serverId } = guest
    if (power === "paused") await subject.agent.handle("vm.pause", { serverId, fence })
    const before = await countNow(disk)
    const data = await copy(disk.name, disk.sizeBytes + 32 * mib)
    const { front, end } = counted(data, disk)
    assert.ok(front >= before.front && end >= before.end)
    // Written one after the other, each flushed: at any moment they are as far, or one apart.
    assert.ok(front - end === 0 || front - end === 1, `${front} in front, ${end} at the end`)
    const middle = (from: Buffer) => md5(from.subarray(16 * mib, 240 * mib))
    assert.equal(middle(data), middle(readFileSync(guests.dataOf(disk.name))))
    assert.equal(
      data.subarray(disk.sizeBytes).findIndex((byte) => byte !== 0),
      -1,
    )
    if (power === "paused") await subject.agent.handle("vm.unpause", { serverId, fence })
    most = end
  }
  await hasCountedPast(disk, most + 5)
  await stopCounting(guest, disk)
})

test("where QEMU reaches no file of the back end, its guest is halted for the copy", {
  skip: !isRoot,
}, async (t) => {
  const disk = await makeFullVolume(64 * mib)
  const guest = await guests.share(disk)
  await startCounting(guest, disk)
  await hasCountedPast(disk, 5)
  const { root } = agentDirectories(dataDir)
  t.after(() => chmodSync(root, 0o711))
  chmodSync(root, 0o700)
  const data = await copy(disk.name, disk.sizeBytes)
  const { front, end } = counted(data, disk)
  assert.ok(front - end === 0 || front - end === 1, `${front} in front, ${end} at the end`)
  await hasCountedPast(disk, end + 5)
  await stopCounting(guest, disk)
})

test("a copy is sparse as its volume is, with the volume at rest, in a guest, and in a suspended one", async () => {
  const disk = await guests.makeVolume(128 * mib)
  writeFileSync(guests.dataOf(disk.name), Buffer.alloc(mib, 7), { flag: "r+" })
  const check = async (when: string) => {
    const create = copyOf(disk.name, 256 * mib)
    const { allocatedBytes } = await subject.agent.handle("volume.create", create)
    assert.ok(allocatedBytes >= mib && allocatedBytes <= 2 * mib, `${allocatedBytes} bytes ${when}`)
    const data = readFileSync(guests.dataOf(create.volumeId))
    assert.equal(md5(data.subarray(0, 128 * mib)), md5(readFileSync(guests.dataOf(disk.name))))
  }
  await check("at rest")
  const { serverId, spec } = await guests.boot([disk])
  await check("in a guest")
  await subject.agent.handle("vm.suspend", { serverId, fence })
  await check("suspended")
  await subject.agent.handle("vm.ensure", { spec, power: "running", fence })
  await check("resumed")
  await subject.agent.handle("vm.stop", { serverId, graceMs: 0, fence })
  await check("off")
})

test("while a volume is copied its machine can be commanded; what takes the volume away waits", async () => {
  const disk = await makeFullVolume(512 * mib)
  const guest = await guests.share(disk)
  const { serverId } = guest
  let isCopied = false
  const order: string[] = []
  const create = copyOf(disk.name, disk.sizeBytes)
  const copying = subject.agent.handle("volume.create", create).then((facts) => {
    isCopied = true
    order.push("copied")
    return facts
  })
  await begun(create.volumeId)
  await subject.agent.handle("vm.pause", { serverId, fence })
  await subject.agent.handle("vm.unpause", { serverId, fence })
  const wasCopied = isCopied
  const unplugging = guests.unplug(guest, disk).then(() => order.push("unplugged"))
  const deleting = subject.agent.handle("volume.delete", { volumeId: disk.name, backend, fence })
  // In use before, or gone after: never in the middle.
  await Promise.all([
    copying,
    unplugging,
    deleting.then(
      () => {},
      () => {},
    ),
  ])
  assert.equal(wasCopied, false, "the machine did not wait for the copy")
  assert.deepEqual(order, ["copied", "unplugged"])
  assert.equal(statSync(guests.dataOf(create.volumeId)).size, disk.sizeBytes)
})

test("a machine that ends breaks the copy at any time, and the repeated one is of the volume at rest", async () => {
  const disk = await makeFullVolume(512 * mib)
  for (const hasBegun of [false, true]) {
    const { serverId } = await guests.start([disk])
    const create = copyOf(disk.name, disk.sizeBytes)
    const copying = subject.agent.handle("volume.create", create)
    const outcome = copying.then(
      () => null,
      (error: unknown) => error,
    )
    const isThere = () => existsSync(directoryOf(create.volumeId))
    if (hasBegun) await begun(create.volumeId)
    else await eventually("the copy to be prepared", isThere, { intervalMs: 2 })
    process.kill(await subject.hypervisor.processId({ serverId, driver: "qemu" }), "SIGKILL")
    // It may have ended before QEMU was asked for anything: then the volume is at rest already.
    const error = await outcome
    assert.ok(agentVolumeCopyBroken.is(error) || (error === null && !hasBegun), String(error))
    assert.equal(isThere(), error === null)
    await subject.agent.handle("volume.create", create)
    const [made, was] = [create.volumeId, disk.name].map((id) => md5(readFileSync(guests.dataOf(id))))
    assert.equal(made, was)
    await guests.clear()
  }
})

test("a copy that nobody waits for any more ends, and leaves nothing in QEMU or on the disk", async () => {
  const disk = await makeFullVolume(512 * mib)
  await guests.share(disk)
  const create = copyOf(disk.name, disk.sizeBytes)
  const giveUp = new AbortController()
  const copying = assert.rejects(subject.agent.handle("volume.create", create, giveUp.signal))
  await begun(create.volumeId)
  giveUp.abort()
  await copying
  assert.equal(existsSync(directoryOf(create.volumeId)), false)
  await subject.agent.handle("volume.create", create)
  assert.equal(md5(readFileSync(guests.dataOf(create.volumeId))), md5(readFileSync(guests.dataOf(disk.name))))
})

test("a copy that fills the disk gives the room back, and its guest goes on", {
  skip: !isRoot,
}, async (t) => {
  const { volumes } = agentDirectories(dataDir)
  await exec("mount", ["--mkdir", "-t", "tmpfs", "-o", "size=96m,mode=0711", "kumoi-full", volumes])
  t.after(async () => {
    await guests.clear()
    await exec("umount", [volumes])
  })
  const disk = await makeFullVolume(80 * mib)
  const create = copyOf(disk.name, disk.sizeBytes)
  const isFull = (error: unknown) => error instanceof Fault && error.code === "agent.host.disk_full"
  await assert.rejects(subject.agent.handle("volume.create", create), isFull)
  assert.equal(existsSync(directoryOf(create.volumeId)), false)
  const guest = await guests.share(disk)
  await startCounting(guest, disk)
  await hasCountedPast(disk, 5)
  await assert.rejects(subject.agent.handle("volume.create", create), isFull)
  assert.equal(existsSync(directoryOf(create.volumeId)), false)
  await hasCountedPast(disk, (await countNow(disk)).end + 5)
  await stopCounting(guest, disk)
})

test("a volume that is reverted has the other's data, and zeros beyond", async () => {
  const [disk, kept] = [await guests.makeVolume(64 * mib), newUuid()]
  writeFileSync(guests.dataOf(disk.name), Buffer.alloc(2 * mib, "old"), { flag: "r+" })
  await subject.agent.handle("volume.create", copyOf(disk.name, 64 * mib, kept))
  const old = readFileSync(guests.dataOf(kept))
  const extend = { volumeId: disk.name, backend, sizeBytes: 96 * mib, fence }
  await subject.agent.handle("volume.extend", extend)
  const guest = await guests.share(disk)
  // At its beginning, and beyond what the other has.
  const write = "yes new | dd of=/dev/$d bs=64k count=4 conv=fsync"
  await guests.tell(guest, disk.name, `(${write}; ${write} seek=1100) 2>/dev/null`)
  const revert = { volumeId: disk.name, backend, fromVolumeId: kept, fence }
  await assert.rejects(
    subject.agent.handle("volume.revert", revert),
    (error) => error instanceof Fault && error.code === "agent.volume.in_use",
  )
  await guests.unplug(guest, disk)
  for (const _ of [1, 2]) {
    assert.equal((await subject.agent.handle("volume.revert", revert)).sizeBytes, 96 * mib)
    const data = readFileSync(guests.dataOf(disk.name))
    assert.equal(md5(data.subarray(0, 64 * mib)), md5(old))
    assert.equal(
      data.subarray(64 * mib).findIndex((byte) => byte !== 0),
      -1,
    )
  }
  await guests.plug(guest, { ...disk, sizeBytes: 96 * mib })
  assert.equal(await guests.tell(guest, disk.name, "head -c 6 /dev/$d"), "oldold")
})

test("a volume becomes an image in each format, at rest and while its guest counts", async () => {
  const disk = await guests.makeVolume(64 * mib)
  const guest = await guests.share(disk)
  await startCounting(guest, disk)
  const upload = async (diskFormat: string, driver: string) => {
    const imageId = newUuid()
    const args = { volumeId: disk.name, backend, imageId, diskFormat, ticket: "t", fence }
    await subject.agent.handle("volume.upload", args)
    await subject.agent.handle("volume.upload", args)
    assert.deepEqual(readdirSync(uploadsDir), [])
    const [image, raw] = [join(dataDir, "uploaded"), join(dataDir, "uploaded.raw")]
    writeFileSync(image, stored.get(imageId) ?? "")
    await exec("qemu-img", ["convert", "-f", driver, "-O", "raw", image, raw])
    assert.equal(statSync(raw).size, disk.sizeBytes)
    return readFileSync(raw)
  }
  for (const [diskFormat, driver] of [
    ["raw", "raw"],
    ["qcow2", "qcow2"],
  ] as const) {
    const { front, end } = counted(await upload(diskFormat, driver), disk)
    assert.ok(front > 0 && (front - end === 0 || front - end === 1))
  }
  await stopCounting(guest, disk)
  await guests.unplug(guest, disk)
  for (const [diskFormat, driver] of Object.entries({
    ...{ raw: "raw", qcow2: "qcow2", vmdk: "vmdk", vdi: "vdi", vhd: "vpc", vhdx: "vhdx" },
  })) {
    assert.equal(
      md5(await upload(diskFormat, driver)),
      md5(readFileSync(guests.dataOf(disk.name))),
      diskFormat,
    )
  }
})

/** A machine of its own kind: the firmware starts what is on the first disk. */
function bootableSpec(serverId: string, root: DiskSpec, properties = {}): VmSpec {
  return {
    ...{ ...tinySpec(serverId), disks: [root], kernelImage: null, ramdiskImage: null, configDrive: null },
    properties,
  }
}

async function volumeFromImage(imageId: string, diskFormat: string, data: Buffer): Promise<DiskSpec> {
  const volumeId = newUuid()
  const source = { kind: "image" as const, imageId, checksum: md5(data), diskFormat }
  const create = { volumeId, backend, sizeBytes: 16 * mib, source, tickets: {}, fence }
  for (const _ of [1, 2]) await subject.agent.handle("volume.create", create)
  const made = readFileSync(guests.dataOf(volumeId))
  assert.equal(md5(made.subarray(0, mib)), md5(bootImage))
  assert.equal(made.length, 16 * mib)
  await assert.rejects(
    subject.agent.handle("volume.create", { ...create, volumeId: newUuid(), sizeBytes: mib / 2 }),
    (error) => error instanceof Fault && error.code === "agent.volume.too_small",
  )
  return { ...fileVolume(volumeId, 16 * mib), bootIndex: 0 }
}

for (const machine of ["pc", "q35"]) {
  test(`a ${machine} machine is started from a volume made from an image, all its life long`, async () => {
    const root = await volumeFromImage("bootable", "raw", bootImage)
    const serverId = newUuid()
    const spec = bootableSpec(serverId, root, { hw_machine_type: machine })
    const says = async (text: string) => (await guests.log(serverId)).split(text).length - 1
    const started = (text: string, times: number) =>
      eventually(`the ${times}. start`, async () => (await says(text)) === times)
    const own = "STARTED FROM A VOLUME"
    const rescued = "STARTED FROM THE RESCUE DISK"
    await subject.agent.handle("vm.ensure", { spec, power: "running", fence })
    await started(own, 1)
    const { disks } = await subject.agent.handle("vm.diagnostics", { serverId })
    assert.deepEqual(
      disks.map(({ name, readBytes }) => [name, readBytes > 0]),
      [[root.name, true]],
    )
    await subject.agent.handle("vm.reboot", { spec, hard: true, graceMs: 0, fence })
    await started(own, 2)
    await subject.agent.handle("vm.suspend", { serverId, fence })
    await subject.agent.handle("vm.ensure", { spec, power: "running", fence })
    assert.equal((await subject.agent.handle("vm.inspect", { serverId })).power, "running")
    const rescue: DiskSpec = {
      name: "rescue",
      source: { kind: "image", imageId: "rescue", checksum: md5(rescueImage), diskFormat: "raw" },
      ...{ sizeBytes: mib, bus: "virtio", bootIndex: 0 },
    }
    const rescueSpec = { ...spec, disks: [rescue, { ...root, bootIndex: 1 }] }
    await subject.agent.handle("vm.reboot", { spec: rescueSpec, hard: true, graceMs: 0, fence })
    await started(rescued, 1)
    await subject.agent.handle("vm.reboot", { spec, hard: true, graceMs: 0, fence })
    await started(own, 3)
    assert.equal(await says(rescued), 1)
    await assert.rejects(
      subject.agent.handle("vm.snapshot", { serverId, imageId: newUuid(), fence }),
      (error) => error instanceof Fault && error.code === "agent.disk.missing",
    )
    await subject.agent.handle("vm.destroy", { serverId, fence })
    const left = await subject.agent.handle("volume.inspect", { volumeId: root.name, backend })
    assert.deepEqual([left.volume?.sizeBytes, left.serverId], [16 * mib, null])
  })
}

test("a volume is made from a qcow2 image, and from none that leads to another file", async () => {
  await volumeFromImage("bootableQcow2", "qcow2", readFileSync(join(dataDir, "bootable.qcow2")))
  const qcow2 = readFileSync(join(dataDir, "bootable.qcow2"))
  const volumeId = newUuid()
  const source = { kind: "image" as const, imageId: "bootableQcow2", checksum: md5(qcow2), diskFormat: "raw" }
  await assert.rejects(
    subject.agent.handle("volume.create", { volumeId, backend, sizeBytes: 16 * mib, source, fence }),
    (error) => error instanceof Fault && error.code === "agent.image.refused",
  )
  assert.equal(existsSync(dirname(guests.dataOf(volumeId))), false)
})

test("a root volume is the guest's first disk, before its own, and stays that over a reboot", async () => {
  const root = { ...(await guests.makeVolume(48 * mib)), bootIndex: 0 }
  const data = await guests.makeVolume(24 * mib)
  const serverId = newUuid()
  const tiny = tinySpec(serverId)
  const [_root, ...others] = tiny.disks
  const spec = { ...tiny, disks: [root, ...others] }
  await guests.ensure({ serverId, spec })
  await guests.plug({ serverId, spec }, data)
  const first = async (n: number) =>
    [...(await guests.log(serverId)).matchAll(/GUEST disk vda (\d+) /g)].map(([, size]) => Number(size))[n]
  assert.equal(await first(0), (48 * mib) / 512)
  // Told again as it runs, then started by what is kept.
  await subject.agent.handle("vm.ensure", {
    spec: { ...spec, disks: [...spec.disks, data] },
    power: "running",
    fence,
  })
  await subject.agent.handle("vm.stop", { serverId, graceMs: 0, fence })
  await subject.agent.handle("vm.unpause", { serverId, fence })
  assert.equal(await eventually("the second start", () => first(1)), (48 * mib) / 512)
})
