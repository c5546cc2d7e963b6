// Backups of volumes that real guests (tcg) write to.
import assert from "node:assert/strict"
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, afterEach, before, test } from "node:test"
import { eventually, systemClock } from "../../platform/clock/clock.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { silentLogger } from "../../platform/log/log.ts"
import { agentDirectories } from "../machine-store.ts"
import type { DiskSpec } from "../protocol.ts"
import { counted, countedIn, makeFullVolume, startCounting } from "../testing/counting-guest.ts"
import { MemoryBackups } from "../testing/memory-backups.ts"
import { makeQemuAgent, type QemuAgent } from "../testing/qemu-agent.ts"
import { testRunAs } from "../testing/tiny-driver.ts"
import { makeTinyGuest } from "../testing/tiny-guest.ts"
import { guestFence as fence, VolumeGuests } from "../testing/volume-guests.ts"

const dataDir = mkdtempSync(join(tmpdir(), "kumoi-volume-backups-"))
const uploadsDir = agentDirectories(dataDir).volumeUploads
const mib = 1024 * 1024
const backend = "file"
const backups = new MemoryBackups()
let subject: QemuAgent
const guests = new VolumeGuests(dataDir, () => subject)

before(async () => {
  const guest = await makeTinyGuest(dataDir)
  const common = { dataDir, guest, clock: systemClock, log: silentLogger }
  subject = await makeQemuAgent({ ...common, backups, qemu: { runAs: testRunAs } })
  await subject.agent.recoverAll()
})
afterEach(() => guests.destroyAll())
after(async () => {
  await subject.agent.release()
  rmSync(dataDir, { recursive: true })
})

const countNow = (disk: DiskSpec) => countedIn(guests.dataOf(disk.name), disk)

async function hasCountedPast(disk: DiskSpec, n: number): Promise<void> {
  await eventually(`the guest to count past ${n}`, async () => countNow(disk).end > n)
}

test("a backup of a volume that a guest writes to is of one moment, and one upon it is smaller", async () => {
  const disk = await makeFullVolume(guests, 64 * mib)
  const guest = await guests.boot([disk])
  await startCounting(guests, guest, disk)
  const ids = [newUuid(), newUuid()]
  const made: { front: number; end: number }[] = []
  for (const [n, dataId] of ids.entries()) {
    const [parent] = n > 0 ? ids : []
    if (parent) backups.parents.set(dataId, parent)
    await hasCountedPast(disk, (made.at(-1)?.end ?? 0) + 5)
    const before = countNow(disk)
    const how = { backend, dataId, chunkBytes: mib, ticket: "t", fence }
    await subject.agent.handle("volume.backup", { volumeId: disk.name, ...how })
    const restored = await guests.makeVolume(disk.sizeBytes)
    await subject.agent.handle("volume.restore", {
      volumeId: restored.name,
      backend,
      dataId,
      ticket: "t",
      fence,
    })
    const at = counted(readFileSync(guests.dataOf(restored.name)), disk)
    assert.ok(at.front >= before.front && at.end >= before.end)
    assert.ok(
      at.front - at.end === 0 || at.front - at.end === 1,
      `${at.front} in front, ${at.end} at the end`,
    )
    made.push(at)
  }
  // The guest writes to both ends.
  const middleOf = (id: string) =>
    [...(backups.backups.get(id)?.chunks.keys() ?? [])].filter((chunk) => chunk >= 16 && chunk < 48)
  assert.deepEqual(
    ids.map((id) => middleOf(id).length),
    [32, 0],
  )
  assert.deepEqual(existsSync(uploadsDir) ? readdirSync(uploadsDir) : [], [])
  const held = { volumeId: disk.name, backend, dataId: ids[0] ?? "", ticket: "t", fence }
  await assert.rejects(subject.agent.handle("volume.restore", held), { code: "agent.volume.in_use" })
})
