// Copies of two volumes that a real guest (tcg) writes to in turn: both are of one moment.
import assert from "node:assert/strict"
import { randomFillSync } from "node:crypto"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
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

const dataDir = mkdtempSync(join(tmpdir(), "kumoi-volumes-together-"))
const mib = 1024 * 1024
const backend = "file"
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

const blockBytes = 4_096

/** One that takes a while to be copied. */
async function makeFullVolume(sizeBytes: number): Promise<DiskSpec> {
  const disk = await guests.makeVolume(sizeBytes)
  const data = Buffer.alloc(sizeBytes)
  randomFillSync(data, 16 * mib, sizeBytes - 16 * mib)
  writeFileSync(guests.dataOf(disk.name), data, { flag: "r+" })
  return disk
}

/** The guest writes 1, 2, 3 … to the blocks of the first volume and, after each is flushed, to those of the second. */
async function startCounting(guest: Guest, disks: readonly [DiskSpec, DiskSpec]): Promise<void> {
  const devices: string[] = []
  for (const { name } of disks) devices.push(await guests.tell(guest, name, "echo $d"))
  const put = (device: string) => `dd if=/b of=/dev/${device} bs=${blockBytes} seek=$n conv=sync,fsync`
  const script = ["n=0", "while true; do n=$((n+1))", "echo $n > /b", ...devices.map(put), "done"]
  for (const line of script) await guests.type(guest, `echo '${line}' >> /w`)
  await guests.tell(guest, disks[0].name, "sh /w 2>/dev/null & echo it counts")
}

function counted(volumeId: string): number {
  const data = readFileSync(guests.dataOf(volumeId))
  let n = 0
  const has = (block: number) =>
    data.toString("latin1", block * blockBytes, block * blockBytes + 8).startsWith(`${block}\n`)
  while (has(n + 1)) n++
  // And nothing behind that.
  for (let block = n + 2; block < n + 50; block++) assert.ok(!has(block), `block ${block} after ${n}`)
  return n
}

const copiesOf = (disks: readonly DiskSpec[]) =>
  disks.map(({ name, sizeBytes }) => ({ volumeId: newUuid(), fromVolumeId: name, sizeBytes, fence }))

test("two volumes that a guest writes to in turn, and one at rest, are copied as they are at one moment", async () => {
  const [first, second] = [await makeFullVolume(96 * mib), await makeFullVolume(128 * mib)]
  const still = await makeFullVolume(32 * mib)
  const guest = await guests.boot([first, second])
  await startCounting(guest, [first, second])
  for (const _ of [1, 2]) {
    const before = counted(second.name)
    await eventually("the guest to count", async () => counted(second.name) > before + 5)
    const volumes = copiesOf([first, still, second])
    await subject.agent.handle("volume.create_together", { backend, volumes })
    const [a, rest, b] = volumes.map(({ volumeId }) => volumeId) as [string, string, string]
    const [inFirst, inSecond] = [counted(a), counted(b)]
    assert.ok(inSecond > before + 5)
    // Written one after the other, each flushed: at any moment they are as far, or one apart.
    assert.ok(inFirst - inSecond === 0 || inFirst - inSecond === 1, `${inFirst} and ${inSecond}`)
    assert.ok(readFileSync(guests.dataOf(rest)).equals(readFileSync(guests.dataOf(still.name))))
    await eventually("the guest to go on", async () => counted(second.name) > inSecond + 5)
    // Asked for again, they stay as they are.
    await subject.agent.handle("volume.create_together", { backend, volumes })
    assert.deepEqual([counted(a), counted(b)], [inFirst, inSecond])
    // One of them lost: what is made anew is of one moment again.
    await subject.agent.handle("volume.delete", { volumeId: b, backend, fence })
    const again = volumes.map((one) => ({ ...one, fence: { ...fence, fence: fence.fence + 1 } }))
    await subject.agent.handle("volume.create_together", { backend, volumes: again })
    assert.ok(counted(a) > inFirst)
    assert.ok(counted(a) - counted(b) === 0 || counted(a) - counted(b) === 1)
  }
})

test("volumes of two guests are not copied together", async () => {
  const [first, second] = [await guests.makeVolume(16 * mib), await guests.makeVolume(16 * mib)]
  await guests.boot([first])
  await guests.boot([second])
  const volumes = copiesOf([first, second])
  await assert.rejects(
    subject.agent.handle("volume.create_together", { backend, volumes }),
    /Volumes of several machines/,
  )
})
