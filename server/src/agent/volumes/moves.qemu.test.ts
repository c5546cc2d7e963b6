// Volumes of real guests (tcg) that move to another back end while the guests write: nothing that a guest was told is
// written is lost, whatever is killed on the way.
import assert from "node:assert/strict"
import { createHash, randomFillSync } from "node:crypto"
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, afterEach, before, test } from "node:test"
import { eventually, systemClock } from "../../platform/clock/clock.ts"
import { silentLogger } from "../../platform/log/log.ts"
import { agentDirectories, type MachineRecord } from "../machine-store.ts"
import type { DiskSpec } from "../protocol.ts"
import { readStateFile } from "../state-file.ts"
import { makeQemuAgent, type QemuAgent } from "../testing/qemu-agent.ts"
import { testRunAs } from "../testing/tiny-driver.ts"
import { makeTinyGuest, type TinyGuest } from "../testing/tiny-guest.ts"
import { guestFence as fence, type Guest, VolumeGuests } from "../testing/volume-guests.ts"
import { FileVolumeDriver } from "./file-driver.ts"
import { MoveStore } from "./move-store.ts"
import { volumeDisks } from "./volume-disks.ts"

const dataDir = mkdtempSync(join(tmpdir(), "kumoi-volume-moves-"))
const directories = agentDirectories(dataDir)
const mib = 1024 * 1024
const [from, to] = ["file", "other"] as const
let tiny: TinyGuest
let subject: QemuAgent
const guests = new VolumeGuests(dataDir, () => subject)

async function openAgent(): Promise<void> {
  const common = { dataDir, guest: tiny, clock: systemClock, log: silentLogger }
  subject = await makeQemuAgent({ ...common, qemu: { runAs: testRunAs } })
  await subject.agent.recoverAll()
}

before(async () => {
  tiny = await makeTinyGuest(dataDir)
  await openAgent()
})
afterEach(() => guests.destroyAll())
after(async () => {
  await subject.agent.release()
  rmSync(dataDir, { recursive: true })
})

/** The next agent knows what is on the disk, and the guests have gone on meanwhile. */
async function restart(): Promise<void> {
  await subject.agent.release()
  await openAgent()
}

const dataIn = (backend: string, volumeId: string) =>
  join(directories.volumes, backend, volumeId, "volume.raw")
const placesOf = (volumeId: string) => [from, to].filter((backend) => existsSync(dataIn(backend, volumeId)))

function toldOf({ serverId }: Guest): string | undefined {
  const { spec } = readStateFile(join(directories.vms, serverId, "machine.json")) as MachineRecord
  return volumeDisks(spec.disks)[0]?.backend
}

const md5 = (data: Buffer) => createHash("md5").update(data).digest("hex")
const sizeBytes = 96 * mib
const blockBytes = 4_096
const lastBlock = sizeBytes / blockBytes
const middle = { at: 16 * mib, bytes: 48 * mib }

const move = (volumeId: string, [fromBackend, backend]: readonly [string, string] = [from, to]) =>
  subject.agent.handle("volume.move", { volumeId, fromBackend, backend, fence })

/** With random data in its middle. */
async function makeFullVolume(): Promise<{ disk: DiskSpec; sum: string }> {
  const disk = await guests.makeVolume(sizeBytes)
  const data = randomFillSync(Buffer.alloc(middle.bytes))
  const file = openSync(dataIn(from, disk.name), "r+")
  writeSync(file, data, 0, data.length, middle.at)
  closeSync(file)
  return { disk, sum: md5(data) }
}

/** The guest writes 1, 2, 3 … to the blocks from the front on and, after each, to those from the end on; see `counted`. */
async function startCounting(guest: Guest, volumeId: string): Promise<void> {
  const put = (at: string) => `dd if=/b of=/dev/$1 bs=${blockBytes} seek=${at} conv=sync,fsync`
  const script = ["n=0", "while true; do n=$((n+1))", "echo $n > /b", put("$n"), put(`$((${lastBlock}-n))`)]
  for (const line of [...script, "echo $n > /done", "done"]) await guests.type(guest, `echo '${line}' >> /w`)
  await guests.tell(guest, volumeId, "sh /w $d 2>/dev/null & echo it counts")
}

const counted = async (guest: Guest, volumeId: string) =>
  Number(await guests.tell(guest, volumeId, "cat /done"))

async function countsOn(guest: Guest, volumeId: string): Promise<number> {
  const now = await counted(guest, volumeId)
  return await eventually("the guest to write on", async () => {
    const next = await counted(guest, volumeId)
    return next > now && next
  })
}

function mustHold(data: Buffer, least: number, sum: string): void {
  assert.equal(md5(data.subarray(middle.at, middle.at + middle.bytes)), sum)
  for (let n = 1; n <= least; n++)
    for (const block of [n, lastBlock - n]) {
      const at = block * blockBytes
      assert.equal(parseInt(data.subarray(at, at + 20).toString(), 10), n, `block ${block} of ${least}`)
    }
}

async function killQemu({ serverId }: Guest): Promise<void> {
  process.kill(await subject.hypervisor.processId({ serverId, driver: "qemu" }), "SIGKILL")
  await eventually("the death to be seen", async () => {
    const { power } = await subject.agent.handle("vm.inspect", { serverId })
    return power === "crashed"
  })
}

/** The spec as the cloud has it after the move. */
const withPlace = ({ serverId, spec }: Guest, backend: string): Guest => ({
  serverId,
  spec: {
    ...spec,
    disks: spec.disks.map((disk) =>
      disk.source.kind === "volume" ? { ...disk, source: { ...disk.source, backend } } : disk,
    ),
  },
})

test("a guest writes on while its volume moves, and again; a killed QEMU has lost nothing it was told", async () => {
  const { disk, sum } = await makeFullVolume()
  const volumeId = disk.name
  const guest = await guests.boot([disk])
  await startCounting(guest, volumeId)
  await countsOn(guest, volumeId)
  await move(volumeId)
  assert.deepEqual([placesOf(volumeId), toldOf(guest)], [[to], to])
  const { uid, mode, blocks } = statSync(dataIn(to, volumeId))
  assert.deepEqual([uid, mode & 0o777], [process.getuid?.(), 0o600])
  assert.ok(blocks * 512 < sizeBytes - 16 * mib, `holes stay holes: ${blocks * 512} bytes`)
  const afterFirst = await countsOn(guest, volumeId)
  // A file that was moved to is moved from, and to the first place again.
  await move(volumeId, [to, from])
  assert.deepEqual([placesOf(volumeId), toldOf(guest)], [[from], from])
  await countsOn(guest, volumeId)
  await move(volumeId)
  const least = await countsOn(guest, volumeId)
  assert.ok(least > afterFirst)
  await killQemu(guest)
  mustHold(readFileSync(dataIn(to, volumeId)), least, sum)

  // At rest, and its machine finds it where it is.
  await move(volumeId, [to, from])
  mustHold(readFileSync(dataIn(from, volumeId)), least, sum)
  assert.deepEqual([placesOf(volumeId), toldOf(guest)], [[from], from])
  await guests.ensure(guest)
  assert.equal(
    await guests.tell(guest, volumeId, `dd if=/dev/$d bs=${blockBytes} skip=${least} count=1 2>/dev/null`),
    String(least),
  )
})

test("a volume that has moved grows, is copied, suspended with its guest, and let go of", async () => {
  const { disk, sum } = await makeFullVolume()
  const volumeId = disk.name
  const guest = await guests.boot([disk])
  await move(volumeId)
  const larger = sizeBytes + 32 * mib
  await subject.agent.handle("volume.extend", { volumeId, backend: to, sizeBytes: larger, fence })
  assert.equal(await guests.tell(guest, volumeId, "cat /sys/block/$d/size"), String(larger / 512))
  const moved = withPlace(guest, to)
  await subject.agent.handle("vm.suspend", { serverId: guest.serverId, fence })
  await subject.agent.handle("vm.ensure", { spec: moved.spec, power: "running", fence })
  const told = `dd if=/dev/$d bs=1M skip=16 count=48 2>/dev/null | md5sum | cut -c1-32`
  assert.equal(await guests.tell(guest, volumeId, told), sum)
  await move(volumeId, [to, from])
  await guests.unplug(guest, disk)
  await subject.agent.handle("volume.delete", { volumeId, backend: from, fence })
  assert.deepEqual(placesOf(volumeId), [])
})

// The agent is killed in the middle: what it was doing to QEMU is done here by hand, and the next agent finds it.
const stages = ["mirroring", "in both", "switched", "reopened"] as const
for (const qemu of ["lives", "is killed, too"] as const)
  for (const stage of stages) {
    test(`the agent dies when the volume is ${stage}, QEMU ${qemu}: the volume is in one place, whole`, async () => {
      const { disk, sum } = await makeFullVolume()
      const volumeId = disk.name
      const guest = await guests.boot([disk])
      await startCounting(guest, volumeId)
      await countsOn(guest, volumeId)
      const handle = { serverId: guest.serverId, driver: "qemu" }
      const other = new FileVolumeDriver(join(directories.volumes, to), { name: to })
      const { signal } = new AbortController()
      const note = (isSwitched: boolean) =>
        new MoveStore(directories.volumeMoves).put(volumeId, { from, to, isSwitched })
      await note(false)
      await other.create(volumeId, sizeBytes, null, signal)
      const target = await other.open(volumeId)
      const mirror = await subject.hypervisor.mirrorVolume(handle, { disk, to: target, signal })
      assert.ok(mirror)
      if (stage !== "mirroring") await mirror.end()
      const moved = { ...disk, source: { kind: "volume" as const, volumeId, backend: to } }
      if (stage === "switched") {
        const dies = subject.hypervisor.switchVolume(handle, moved, target, async (isSwitched) => {
          if (!isSwitched) return
          await note(true)
          throw new Error("it was killed")
        })
        await assert.rejects(dies, /it was killed/)
      }
      if (stage === "reopened") await subject.hypervisor.switchVolume(handle, moved, target, note)
      // With it the volume is whole in either place only while the guest is held; here it has gone on.
      const isLost = stage === "switched" && qemu !== "lives"
      const least = isLost ? 0 : await countsOn(guest, volumeId)
      if (qemu !== "lives") await killQemu(guest)
      await restart()
      const right = stage === "reopened" || isLost ? to : from
      assert.deepEqual([placesOf(volumeId), toldOf(guest)], [[right], right])
      const next = withPlace(guest, right)
      if (qemu === "lives") {
        const written = await countsOn(guest, volumeId)
        await move(volumeId, right === from ? [from, to] : [to, from])
        const now = right === from ? to : from
        await killQemu(guest)
        mustHold(readFileSync(dataIn(now, volumeId)), written, sum)
      } else {
        mustHold(readFileSync(dataIn(right, volumeId)), least, sum)
        // What its guest makes of it is told above, of a volume that has moved.
        await subject.agent.handle("vm.ensure", { spec: next.spec, power: "running", fence })
      }
    })
  }
