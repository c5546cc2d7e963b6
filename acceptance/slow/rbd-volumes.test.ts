// Volumes in a real Ceph, by themselves and in real guests (tcg).
import assert from "node:assert/strict"
import { createHash } from "node:crypto"
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, afterEach, before, describe, test } from "node:test"
import { agentBackendAway } from "../../server/src/agent/faults.ts"
import { MemoryBackups } from "../../server/src/agent/testing/memory-backups.ts"
import { type OneNodeCeph, startCeph } from "../../server/src/agent/testing/one-node-ceph.ts"
import { makeQemuAgent, noVolumeKeys, type QemuAgent } from "../../server/src/agent/testing/qemu-agent.ts"
import { testRunAs } from "../../server/src/agent/testing/tiny-driver.ts"
import { makeTinyGuest } from "../../server/src/agent/testing/tiny-guest.ts"
import {
  guestFence as fence,
  type Guest,
  VolumeGuests,
} from "../../server/src/agent/testing/volume-guests.ts"
import { volumeContract } from "../../server/src/agent/volumes/contract.ts"
import { RbdVolumeDriver } from "../../server/src/agent/volumes/rbd-driver.ts"
import type { TakeCopy } from "../../server/src/agent/volumes/volume-driver.ts"
import { eventually, systemClock } from "../../server/src/platform/clock/clock.ts"
import { exec } from "../../server/src/platform/exec/exec.ts"
import { newUuid } from "../../server/src/platform/ids/ids.ts"
import { silentLogger } from "../../server/src/platform/log/log.ts"

const root = mkdtempSync(join(tmpdir(), "kumoi-rbd-"))
const keys = join(root, "keys")
const mib = 1024 * 1024
const { signal } = new AbortController()
const atRest: TakeCopy = ({ copyStill }) => copyStill()
const from = (volumeId: string, take = atRest) => ({ kind: "volume" as const, volumeId, take })
const md5 = (data: string | Buffer) => createHash("md5").update(data).digest("hex")
let ceph: OneNodeCeph

const open = (host = "host1") => new RbdVolumeDriver({ name: "ceph", host, dir: keys, ...ceph.access })

before(async () => {
  ceph = await startCeph(join(root, "ceph"))
})
after(async () => {
  await ceph?.[Symbol.asyncDispose]()
  rmSync(root, { recursive: true })
})

const images = async () => (await ceph.rbd("ls", "volumes")).trim().split("\n").filter(Boolean).sort()
/** Those that are there beside what others have left. */
async function newImages(): Promise<() => Promise<string[]>> {
  const others = new Set(await images())
  return async () => (await images()).filter((name) => !others.has(name))
}
const imageOf = (volumeId: string) => `volume-${volumeId}`
/** Writes to its first MiB, as nobody has it open. */
async function fill(volumeId: string, byte: number): Promise<void> {
  const file = join(root, newUuid())
  writeFileSync(file, Buffer.alloc(mib, byte))
  const to = `rbd:volumes/${imageOf(volumeId)}:conf=${ceph.access.configFile}:id=admin`
  await exec("qemu-img", ["convert", "-n", "-q", "-f", "raw", "-O", "raw", "-t", "none", file, to])
  rmSync(file)
}
async function dataOf(volumeId: string): Promise<Buffer> {
  const path = join(root, newUuid())
  await open().copyOut(volumeId, { path, diskFormat: "raw", take: atRest }, signal)
  const data = readFileSync(path)
  rmSync(path)
  return data
}

volumeContract("rbd", () => open())

describe("rbd by itself", () => {
  test("all hosts say the same of a pool, by the cluster's own id", async () => {
    const [first, second] = await Promise.all(["host1", "host2"].map((host) => open(host).capacity()))
    assert.match(String(first?.share), /^rbd:[0-9a-f-]{36}\/volumes$/)
    assert.equal(second?.share, first?.share)
  })

  test("a host works on what another one has made", async () => {
    const volumeId = newUuid()
    await open("host1").create(volumeId, 8 * mib, null, signal)
    await fill(volumeId, 9)
    const copyId = newUuid()
    const other = open("host2")
    await other.create(copyId, 8 * mib, from(volumeId), signal)
    assert.equal(md5(await dataOf(copyId)), md5(await dataOf(volumeId)))
    assert.equal((await other.extend(volumeId, 16 * mib)).sizeBytes, 16 * mib)
    assert.equal((await other.open(volumeId)).kind, "rbd")
    await other.delete(volumeId)
    assert.equal(await open("host1").inspect(volumeId), null)
    await other.delete(copyId)
  })

  test("a volume takes nothing until it is written to, and its key is nobody else's to read", async () => {
    const volumeId = newUuid()
    const driver = open()
    await driver.create(volumeId, 1024 * mib, null, signal)
    await fill(volumeId, 7)
    assert.deepEqual(await driver.inspect(volumeId), { sizeBytes: 1024 * mib, allocatedBytes: 4 * mib })
    const opened = await driver.open(volumeId)
    assert.ok(opened.kind === "rbd" && opened.monitors.length === 1)
    assert.equal(statSync(opened.keyFile).mode & 0o777, 0o600)
    await driver.delete(volumeId)
  })

  test("a copy takes no room, has the data of its moment, and outlives what it is of", async () => {
    const made = await newImages()
    const [first, copy, second] = [newUuid(), newUuid(), newUuid()]
    const driver = open()
    await driver.create(first, 16 * mib, null, signal)
    await fill(first, 7)
    assert.deepEqual(await driver.create(copy, 32 * mib, from(first), signal), {
      sizeBytes: 32 * mib,
      allocatedBytes: 0,
    })
    await fill(first, 9)
    await driver.create(second, 32 * mib, from(copy), signal)
    const before = (await made()).length
    await driver.delete(first)
    await driver.delete(copy)
    // Both are there as long as somebody needs them, and no volumes.
    assert.equal((await made()).length, before)
    assert.deepEqual(
      (await made()).filter((name) => name.includes(first) || name.includes(copy)),
      [],
    )
    const data = await dataOf(second)
    assert.deepEqual([data.length, data[0], data[mib - 1], data[mib]], [32 * mib, 7, 7, 0])
    await driver.delete(second)
    assert.deepEqual(await made(), [])
  })

  test("copies of copies get their own data before the way to them is long", async () => {
    const made = await newImages()
    const driver = open()
    const ids = Array.from({ length: 7 }, newUuid)
    await driver.create(ids[0] ?? "", 4 * mib, null, signal)
    await fill(ids[0] ?? "", 5)
    for (const [at, volumeId] of ids.slice(1).entries()) {
      await driver.create(volumeId, 4 * mib, from(ids[at] ?? ""), signal)
    }
    let parents = 0
    let at = imageOf(ids.at(-1) ?? "")
    for (;;) {
      const { parent } = JSON.parse(await ceph.rbd("info", "--format", "json", `volumes/${at}`))
      if (!parent) break
      parents++
      at = parent.image
    }
    assert.ok(parents > 0 && parents <= 4, `${parents} parents`)
    assert.equal((await dataOf(ids.at(-1) ?? ""))[0], 5)
    for (const volumeId of ids) await driver.delete(volumeId)
    assert.deepEqual(await made(), [])
  })

  test("a revert that was cut short has the data of before or the other ones, whole", async () => {
    const made = await newImages()
    const driver = open()
    const [volumeId, snapshot] = [newUuid(), newUuid()]
    await driver.create(volumeId, 4 * mib, null, signal)
    await fill(volumeId, 1)
    await driver.create(snapshot, 4 * mib, from(volumeId), signal)
    await fill(volumeId, 2)
    const copy = async (to: string) => {
      await ceph.rbd("snap", "create", `volumes/${imageOf(snapshot)}@x`)
      const v2 = ["--rbd-default-clone-format", "2"]
      await ceph.rbd("clone", ...v2, `volumes/${imageOf(snapshot)}@x`, `volumes/${to}.host1.${volumeId}`)
      await ceph.rbd("snap", "rm", `volumes/${imageOf(snapshot)}@x`)
    }
    // Before the data of before were put away.
    await copy("making")
    await copy("ready")
    await open("host").removeLeftovers()
    assert.equal((await made()).length, 4)
    await open().removeLeftovers()
    assert.deepEqual(await made(), [imageOf(volumeId), imageOf(snapshot)].sort())
    assert.equal((await dataOf(volumeId))[0], 2)
    // And after that.
    await copy("ready")
    await ceph.rbd("rename", `volumes/${imageOf(volumeId)}`, "volumes/deleted.x")
    assert.equal((await open().inspect(volumeId))?.sizeBytes, 4 * mib)
    assert.equal((await dataOf(volumeId))[0], 1)
    await open().removeLeftovers()
    for (const id of [snapshot, volumeId]) await driver.delete(id)
    assert.deepEqual(await made(), [])
  })

  test("what is set aside keeps its data", async () => {
    const made = await newImages()
    const driver = open()
    const volumeId = newUuid()
    await driver.create(volumeId, 4 * mib, null, signal)
    await fill(volumeId, 3)
    await driver.setAside(volumeId)
    await driver.removeLeftovers()
    const [aside = "", ...more] = await made()
    assert.ok(aside.startsWith(`aside.${volumeId}.`) && more.length === 0)
    await ceph.rbd("rm", `volumes/${aside}`)
  })

  test("a volume has the data of an image, and becomes one", async () => {
    const driver = open()
    const volumeId = newUuid()
    const path = join(root, "image.qcow2")
    await exec("qemu-img", ["create", "-q", "-f", "qcow2", path, "4M"])
    await exec("qemu-io", ["-f", "qcow2", "-c", "write -P 6 1M 1M", path])
    const image = { path, format: "qcow2" as const, virtualSizeBytes: 4 * mib }
    await driver.create(volumeId, 8 * mib, { kind: "image", open: async () => image }, signal)
    const data = await dataOf(volumeId)
    assert.deepEqual(
      [data.length, data[mib - 1], data[mib], data[2 * mib - 1], data[2 * mib]],
      [8 * mib, 0, 6, 6, 0],
    )
    const out = join(root, "out.qcow2")
    await driver.copyOut(volumeId, { path: out, diskFormat: "qcow2", take: atRest }, signal)
    await exec("qemu-io", ["-f", "qcow2", "-r", "-c", "read -P 6 1M 1M", out])
    assert.equal(statSync(out).mode & 0o777, 0o600)
    await driver.delete(volumeId)
  })

  test("a cluster that does not know the user is away, and a wrong pool, too", async () => {
    const wrong = new RbdVolumeDriver({
      name: "ceph",
      host: "host1",
      dir: keys,
      ...ceph.access,
      pool: "none",
    })
    await assert.rejects(wrong.capacity(), agentBackendAway.is)
    for (const asked of [
      () => wrong.create(newUuid(), mib, null, signal),
      () => wrong.inspect(newUuid()),
      () => wrong.delete(newUuid()),
      () => wrong.list(),
    ]) {
      await assert.rejects(asked(), agentBackendAway.is)
    }
    const stranger = new RbdVolumeDriver({
      name: "ceph",
      host: "host1",
      dir: keys,
      ...ceph.access,
      user: "nobody",
    })
    await assert.rejects(stranger.list(), agentBackendAway.is)
  })
})

describe("rbd in guests", () => {
  const dataDir = join(root, "host")
  let subject: QemuAgent
  const guests = new VolumeGuests(dataDir, () => subject, "ceph")
  const stored: Record<string, string> = {}
  const backups = new MemoryBackups()

  before(async () => {
    mkdirSync(dataDir)
    const guest = await makeTinyGuest(dataDir)
    subject = await makeQemuAgent({
      ...{ dataDir, guest, clock: systemClock, log: silentLogger, volumes: [open()] },
      ...{ qemu: { runAs: testRunAs }, backups },
      volumeKeys: {
        ...noVolumeKeys,
        of: async () => ({
          passphrase: "a secret of the cloud",
          cipher: "aes-xts-plain64",
          keySizeBits: 256,
        }),
      },
      store: async (imageId, _ticket, path) => {
        stored[imageId] = md5(readFileSync(path).subarray(0, mib))
      },
    })
    await subject.agent.recoverAll()
  })
  afterEach(() => guests.destroyAll())
  after(async () => await subject.agent.release())

  const write = (guest: Guest, volumeId: string, from: number) =>
    guests.tell(
      guest,
      volumeId,
      `seq ${from} 1 ${from + 150000} | dd of=/dev/$d bs=64k conv=fsync 2>/dev/null`,
    )
  const sum = (guest: Guest, volumeId: string) =>
    guests.tell(guest, volumeId, "head -c 1048576 /dev/$d | md5sum | cut -c1-32")
  const sumOf = (from: number) =>
    md5(
      Array.from({ length: 150_001 }, (_, n) => `${from + n}\n`)
        .join("")
        .slice(0, mib),
    )

  test("what was flushed outlives a killed QEMU; a copy of a volume in use has its moment", async () => {
    const made = await newImages()
    const disk = await guests.makeVolume()
    const volumeId = disk.name
    const first = await guests.boot()
    await guests.plug(first, disk)
    await write(first, volumeId, 200_000)
    const snapshot = newUuid()
    const created = { backend: "ceph", sizeBytes: disk.sizeBytes, fence }
    const source = { kind: "volume" as const, volumeId }
    await subject.agent.handle("volume.create", { volumeId: snapshot, ...created, source })
    await write(first, volumeId, 400_000)
    // Larger while the guest has it.
    await subject.agent.handle("volume.extend", { volumeId, backend: "ceph", sizeBytes: 96 * mib, fence })
    assert.equal(await guests.tell(first, volumeId, "cat /sys/block/$d/size"), String((96 * mib) / 512))
    const imageId = newUuid()
    const upload = { volumeId, backend: "ceph", imageId, diskFormat: "raw", ticket: "", fence }
    await subject.agent.handle("volume.upload", upload)
    assert.equal(stored[imageId], sumOf(400_000))
    const { serverId } = first
    process.kill(await subject.hypervisor.processId({ serverId, driver: "qemu" }), "SIGKILL")
    await eventually("the death to be seen", async () => {
      return (await subject.agent.handle("vm.inspect", { serverId })).power === "crashed"
    })
    // It is among the disks of the next start now.
    const spec = { ...first.spec, disks: [...first.spec.disks, { ...disk, sizeBytes: 96 * mib }] }
    await guests.ensure({ serverId, spec })
    assert.equal(await sum({ serverId, spec }, volumeId), sumOf(400_000))
    await subject.agent.handle("vm.suspend", { serverId, fence })
    await subject.agent.handle("vm.ensure", { spec, power: "running", fence })
    assert.equal(await sum({ serverId, spec }, volumeId), sumOf(400_000))
    await guests.unplug(first, disk)
    const back = { volumeId, backend: "ceph", fromVolumeId: snapshot, fence }
    await subject.agent.handle("volume.revert", back)
    const second = await guests.boot([{ ...disk, sizeBytes: 96 * mib }])
    assert.equal(await sum(second, volumeId), sumOf(200_000))
    await guests.unplug(second, disk)
    for (const id of [volumeId, snapshot]) {
      await subject.agent.handle("volume.delete", { volumeId: id, backend: "ceph", fence })
    }
    // A killed QEMU is remembered by the cluster for half a minute.
    const isClean = async () => {
      await open().removeLeftovers()
      return (await made()).length === 0
    }
    await eventually("nothing to be left", isClean, { timeoutMs: 60_000, intervalMs: 1_000 })
    assert.equal(existsSync(join(keys, "key")), true)
  })

  test("an encrypted volume is noise in the pool, grows, and a backup of it has what it had", async () => {
    const plain = await guests.makeVolume()
    const volumeId = newUuid()
    const made = { volumeId, backend: "ceph", sizeBytes: plain.sizeBytes, encrypted: true, fence }
    await subject.agent.handle("volume.create", made)
    const source = { kind: "volume" as const, volumeId, backend: "ceph", encrypted: true }
    const disk = { ...plain, name: volumeId, source }
    const guest = await guests.boot()
    await guests.plug(guest, disk)
    await write(guest, volumeId, 200_000)
    const raw = await dataOf(volumeId)
    assert.equal(raw.subarray(0, 4).toString(), "LUKS")
    assert.ok(!raw.includes("200001\n200002\n"))
    const dataId = newUuid()
    const asked = { volumeId, backend: "ceph", dataId, ticket: "t", fence }
    await subject.agent.handle("volume.backup", { ...asked, chunkBytes: mib })
    await write(guest, volumeId, 400_000)
    const sectors = async () => Number(await guests.tell(guest, volumeId, "cat /sys/block/$d/size"))
    const before = await sectors()
    await subject.agent.handle("volume.extend", { volumeId, backend: "ceph", sizeBytes: 96 * mib, fence })
    assert.equal(await sectors(), before + (32 * mib) / 512)
    assert.equal(await sum(guest, volumeId), sumOf(400_000))
    await guests.unplug(guest, disk)
    await subject.agent.handle("volume.restore", asked)
    const second = await guests.boot([{ ...disk, sizeBytes: 96 * mib }])
    assert.equal(await sum(second, volumeId), sumOf(200_000))
    await guests.unplug(second, disk)
    for (const id of [volumeId, plain.name])
      await subject.agent.handle("volume.delete", { volumeId: id, backend: "ceph", fence })
  })

  test("no process has the key among its arguments", async () => {
    const disk = await guests.makeVolume()
    const guest = await guests.boot([disk])
    const pid = await subject.hypervisor.processId({ serverId: guest.serverId, driver: "qemu" })
    const line = readFileSync(`/proc/${pid}/cmdline`, "utf8")
    assert.ok(line.includes(imageOf(disk.name)))
    assert.ok(!line.includes(readFileSync(join(keys, "key"), "utf8")))
  })
})
