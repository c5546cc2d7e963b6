// Limits of volumes in real guests (tcg): a guest gets no more than its volume has, however the machine was made.
import assert from "node:assert/strict"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, afterEach, before, test } from "node:test"
import { eventually, systemClock } from "../../platform/clock/clock.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { silentLogger } from "../../platform/log/log.ts"
import type { DiskSpec } from "../protocol.ts"
import { makeQemuAgent, type QemuAgent } from "../testing/qemu-agent.ts"
import { testRunAs } from "../testing/tiny-driver.ts"
import { makeTinyGuest } from "../testing/tiny-guest.ts"
import { guestFence as fence, type Guest, VolumeGuests } from "../testing/volume-guests.ts"

const dataDir = mkdtempSync(join(tmpdir(), "kumoi-volume-limits-"))
const mib = 1024 * 1024
let subject: QemuAgent
const guests = new VolumeGuests(dataDir, () => subject)

before(async () => {
  const guest = await makeTinyGuest(dataDir)
  const common = { dataDir, guest, clock: systemClock, log: silentLogger }
  subject = await makeQemuAgent({ ...common, qemu: { runAs: testRunAs } })
  await subject.agent.recoverAll()
})
afterEach(() => guests.destroyAll())
after(async () => {
  await subject.agent.release()
  rmSync(dataDir, { recursive: true })
})

const perSecond = mib
const writtenMib = 4
/** The first tenth of a second is given at once, and the last piece. */
const leastSeconds = writtenMib - 0.7

/** How long the guest says that its data took to the disk. */
async function secondsToWrite(guest: Guest, { name }: DiskSpec): Promise<number> {
  // QEMU lets a request through whole, however large it has become by merging, and holds back what follows it. So each
  // piece is flushed before the next one comes, and only the last one costs no time.
  const script = [
    "cut -d' ' -f1 /proc/uptime",
    "[ -f /z ] || dd if=/dev/zero of=/z bs=512k count=1",
    `for n in $(seq 1 ${writtenMib * 2}); do`,
    "dd if=/z of=/dev/$1 bs=512k seek=$n conv=fsync",
    "done",
    "cut -d' ' -f1 /proc/uptime",
  ]
  await guests.type(guest, "rm -f /w")
  for (const line of script) await guests.type(guest, `echo "${line.replaceAll("$", "\\$")}" >> /w`)
  const [from, to] = (await guests.tell(guest, name, "sh /w $d 2>/dev/null")).split("\n").map(Number)
  return (to ?? Number.NaN) - (from ?? Number.NaN)
}

/** Sooner or later also on a machine where others are at work: with the limits it never is. */
async function isMuchFasterThan(seconds: number, guest: Guest, disk: DiskSpec): Promise<void> {
  await eventually(`${disk.name} to be written in much less than ${seconds} s`, async () => {
    return seconds > 1.5 * (await secondsToWrite(guest, disk))
  })
}

test("a guest writes no faster than its volume's limits, plugged, suspended, started again; others do", async () => {
  const free = await guests.makeVolume()
  const held = { ...(await guests.makeVolume()), ioLimits: { total_bytes_sec: perSecond } }
  const guest = await guests.boot([free])
  const { serverId } = guest
  for (const _ of [1, 2]) await guests.plug(guest, held)
  const plugged = await secondsToWrite(guest, held)
  assert.ok(plugged > leastSeconds, `${plugged} s when it was plugged`)
  await isMuchFasterThan(plugged, guest, free)
  // It grows below its limits, and the guest sees it.
  const extend = { volumeId: held.name, backend: "file", sizeBytes: 96 * mib, fence }
  await subject.agent.handle("volume.extend", extend)
  assert.equal(await guests.tell(guest, held.name, "cat /sys/block/$d/size"), String((96 * mib) / 512))

  const spec = { ...guest.spec, disks: [...guest.spec.disks, held] }
  await subject.agent.handle("vm.suspend", { serverId, fence })
  await subject.agent.handle("vm.ensure", { spec, power: "running", fence })
  const resumed = await secondsToWrite(guest, held)
  assert.ok(resumed > leastSeconds, `${resumed} s after it was suspended`)

  await subject.agent.handle("vm.stop", { serverId, graceMs: 0, fence })
  await guests.ensure({ serverId, spec })
  const started = await secondsToWrite(guest, held)
  assert.ok(started > leastSeconds, `${started} s after a start`)

  // What was taken away may come again, with other limits.
  await guests.unplug(guest, held)
  const { ioLimits: _none, ...unheld } = held
  await guests.plug(guest, unheld)
  await isMuchFasterThan(started, guest, unheld)
})

test("a copy is not held to the limits of the guest that has the volume", async () => {
  const held = { ...(await guests.makeVolume()), ioLimits: { total_bytes_sec: 64 * 1024 } }
  const guest = await guests.boot([held])
  await guests.tell(guest, held.name, "(seq 1 20000 | dd of=/dev/$d bs=64k conv=fsync 2>/dev/null)")
  const copyId = newUuid()
  const begun = performance.now()
  await subject.agent.handle("volume.create", {
    volumeId: copyId,
    backend: "file",
    sizeBytes: held.sizeBytes,
    source: { kind: "volume", volumeId: held.name },
    fence,
  })
  const seconds = (performance.now() - begun) / 1000
  assert.match(readFileSync(guests.dataOf(copyId)).subarray(0, 8).toString(), /^1\n2\n3/)
  // 64 MiB at the guest's speed would take a quarter of an hour.
  assert.ok(seconds < 300, `${seconds} s`)
})

test("a move is not held to the guest's limits, and the guest is again when it is over", async () => {
  const held = { ...(await guests.makeVolume()), ioLimits: { total_bytes_sec: perSecond } }
  const guest = await guests.boot([held])
  await guests.tell(guest, held.name, "(seq 1 20000 | dd of=/dev/$d bs=64k conv=fsync 2>/dev/null)")
  const begun = performance.now()
  const move = { volumeId: held.name, fromBackend: "file", backend: "other", fence }
  await subject.agent.handle("volume.move", move)
  const seconds = (performance.now() - begun) / 1000
  // 64 MiB at the guest's speed would take more than a minute.
  assert.ok(seconds < 50, `${seconds} s`)
  assert.equal(await guests.tell(guest, held.name, "head -n 2 /dev/$d | tr '\\n' ' '"), "1 2")
  const after = await secondsToWrite(guest, held)
  assert.ok(after > leastSeconds, `${after} s after the move`)
})
