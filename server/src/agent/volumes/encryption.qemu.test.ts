// Encrypted volumes in real guests (tcg): what they write is there for whoever has the key, and noise for all others.
import assert from "node:assert/strict"
import { createHash } from "node:crypto"
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, afterEach, before, test } from "node:test"
import { systemClock } from "../../platform/clock/clock.ts"
import { exec } from "../../platform/exec/exec.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { silentLogger } from "../../platform/log/log.ts"
import { runDirectory } from "../hypervisor/qemu/run-directory.ts"
import { agentDirectories } from "../machine-store.ts"
import type { AgentCommands, DiskSpec } from "../protocol.ts"
import { MemoryBackups } from "../testing/memory-backups.ts"
import { makeQemuAgent, noVolumeKeys, type QemuAgent } from "../testing/qemu-agent.ts"
import { testRunAs } from "../testing/tiny-driver.ts"
import { makeTinyGuest, type TinyGuest } from "../testing/tiny-guest.ts"
import { guestFence as fence, type Guest, VolumeGuests } from "../testing/volume-guests.ts"
import { volatileDirectory } from "../volatile-directory.ts"

const dataDir = mkdtempSync(join(tmpdir(), "kumoi-volume-encryption-"))
const directories = agentDirectories(dataDir)
const mib = 1024 * 1024
const sectorBytes = 512
/** What QEMU puts in front with keys of 256 bits for xts. */
const headerBytes = 2_068_480
const backend = "file"
const image = Buffer.alloc(3 * mib, "what an image has in clear ")
/** What was stored last. */
const stored = join(dataDir, "stored")
const passphrases = new Map<string, string>()
const backups = new MemoryBackups()
let tiny: TinyGuest
let subject: QemuAgent
const guests = new VolumeGuests(dataDir, () => subject)

async function openAgent(): Promise<void> {
  const path = join(dataDir, "image")
  writeFileSync(path, image)
  subject = await makeQemuAgent({
    ...{ dataDir, guest: tiny, clock: systemClock, log: silentLogger, qemu: { runAs: testRunAs } },
    images: { image: path, luks: stored },
    store: async (_imageId, _ticket, from) => copyFileSync(from, stored),
    backups,
    volumeKeys: {
      ...noVolumeKeys,
      of: async (volumeId) => {
        const passphrase = passphrases.get(volumeId)
        if (passphrase === undefined) throw new Error(`no key of ${volumeId}`)
        return { passphrase, cipher: "aes-xts-plain64", keySizeBits: 256 }
      },
    },
  })
  await subject.agent.recoverAll()
}

before(async () => {
  tiny = await makeTinyGuest(dataDir)
  await openAgent()
})
afterEach(() => guests.clear())
after(async () => {
  await guests.destroyAll()
  await subject.agent.release()
  rmSync(dataDir, { recursive: true })
})

type Source = NonNullable<AgentCommands["volume.create"]["args"]["source"]>

async function makeEncrypted(source?: Source, sizeBytes = 64 * mib): Promise<DiskSpec> {
  const volumeId = newUuid()
  const from = source?.kind === "volume" ? passphrases.get(source.volumeId) : undefined
  passphrases.set(volumeId, from ?? newUuid())
  const said = { volumeId, backend, sizeBytes, encrypted: true, fence, ...(source ? { source } : {}) }
  await subject.agent.handle("volume.create", said)
  return {
    ...{ name: volumeId, sizeBytes, bus: "virtio", bootIndex: null },
    source: { kind: "volume", volumeId, backend, encrypted: true },
  }
}

const lines = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, n) => `${from + n}\n`).join("")
const md5 = (data: string | Buffer) => createHash("md5").update(data).digest("hex")
const fileOf = ({ name }: DiskSpec, backend = "file") =>
  join(directories.volumes, backend, name, "volume.raw")

async function write(guest: Guest, { name }: DiskSpec, from: number, to: number): Promise<string> {
  await guests.tell(guest, name, `seq ${from} ${to} | dd of=/dev/$d bs=64k conv=fsync 2>/dev/null`)
  return lines(from, to)
}

async function mustRead(guest: Guest, { name }: DiskSpec, text: string | Buffer): Promise<void> {
  const sum = await guests.tell(guest, name, `head -c ${text.length} /dev/$d | md5sum | cut -c1-32`)
  assert.equal(sum, md5(text))
}

const sectorsIn = async (guest: Guest, { name }: DiskSpec) =>
  Number(await guests.tell(guest, name, "cat /sys/block/$d/size"))

/** No passphrase is left on the host, in any place where one is put for a moment. */
function mustKeepNoKey(guest: Guest): void {
  const places = [
    runDirectory(directories.vms, guest.serverId).keys,
    volatileDirectory(`${directories.volumeUploads}/keys`),
  ]
  for (const place of places) assert.deepEqual(existsSync(place) ? readdirSync(place) : [], [])
  const kept = readdirSync(directories.vms, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".json"))
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), "utf8"))
  for (const passphrase of passphrases.values()) assert.ok(!kept.some((text) => text.includes(passphrase)))
}

test("what a guest writes is noise on the disk, and is there after a plug, a start, a suspend and a growth", async () => {
  const disk = await makeEncrypted()
  const first = await guests.share(disk)
  assert.equal(await sectorsIn(first, disk), (64 * mib - headerBytes) / sectorBytes)
  const text = await write(first, disk, 100_000, 120_000)
  const onDisk = readFileSync(fileOf(disk))
  assert.equal(onDisk.length, 64 * mib)
  assert.equal(onDisk.subarray(0, 4).toString(), "LUKS")
  assert.ok(!onDisk.includes("100001\n100002\n"))
  await guests.unplug(first, disk)

  const held = { ...disk, ioLimits: { total_bytes_sec: 64 * mib } }
  const second = await guests.boot([held])
  await mustRead(second, disk, text)
  mustKeepNoKey(second)
  const { serverId, spec } = second
  await subject.agent.handle("vm.suspend", { serverId, fence })
  await subject.agent.handle("vm.ensure", { spec, power: "running", fence })
  await mustRead(second, disk, text)
  for (const _ of [1, 2])
    await subject.agent.handle("volume.extend", { volumeId: disk.name, backend, sizeBytes: 96 * mib, fence })
  assert.equal(await sectorsIn(second, disk), (96 * mib - headerBytes) / sectorBytes)
  const last = (96 * mib - headerBytes) / sectorBytes - 1
  await guests.tell(
    second,
    disk.name,
    `(echo at the end | dd of=/dev/$d bs=512 seek=${last} conv=fsync 2>/dev/null)`,
  )
  assert.equal(
    await guests.tell(second, disk.name, `dd if=/dev/$d bs=512 skip=${last} 2>/dev/null | head -c 10`),
    "at the end",
  )
  assert.equal(readFileSync(fileOf(disk)).length, 96 * mib)
  await guests.unplug(second, disk)
  await guests.plug(second, held)
  await mustRead(second, disk, text)
  mustKeepNoKey(second)
})

test("an encrypted volume has an image's data, its copy the same key, and both can be read by others' tools", async () => {
  const source = { kind: "image", imageId: "image", checksum: md5(image), diskFormat: "raw" } as const
  const disk = await makeEncrypted(source)
  const guest = await guests.share(disk)
  await mustRead(guest, disk, image)
  const text = await write(guest, disk, 1, 10_000)
  const copy = await makeEncrypted({ kind: "volume", volumeId: disk.name })
  await write(guest, disk, 20_000, 30_000)
  await guests.plug(guest, copy)
  await mustRead(guest, copy, text)
  assert.ok(!readFileSync(fileOf(copy)).includes("what an image has in clear"))
  for (const each of [disk, copy]) await guests.unplug(guest, each)
  const key = join(dataDir, "key")
  writeFileSync(key, passphrases.get(copy.name) ?? "")
  const secret = JSON.stringify({ "qom-type": "secret", id: "s", file: key })
  const opened = `driver=luks,key-secret=s,file.filename=${fileOf(copy)}`
  const out = join(dataDir, "out")
  await exec("qemu-img", ["convert", "--object", secret, "--image-opts", opened, "-O", "raw", out])
  assert.equal(readFileSync(out).subarray(0, text.length).toString(), text)
  rmSync(key)
  await subject.agent.handle("volume.reimage", {
    volumeId: disk.name,
    backend,
    source,
    encrypted: true,
    fence,
  })
  await guests.plug(guest, disk)
  await mustRead(guest, disk, image)
})

test("it moves while its guest is off, and a start without its key fails and says so", async () => {
  const disk = await makeEncrypted()
  const guest = await guests.boot([disk])
  const text = await write(guest, disk, 1, 20_000)
  const volumeId = disk.name
  const move = { volumeId, fromBackend: "file", backend: "other", fence }
  await assert.rejects(subject.agent.handle("volume.move", move), { code: "agent.volume.move_encrypted" })
  const { serverId } = guest
  await subject.agent.handle("vm.stop", { serverId, graceMs: 0, fence })
  await subject.agent.handle("volume.move", move)
  assert.ok(!existsSync(fileOf(disk)))
  assert.equal(readFileSync(fileOf(disk, "other")).subarray(0, 4).toString(), "LUKS")
  const moved = { ...disk, source: { kind: "volume" as const, volumeId, backend: "other", encrypted: true } }
  const disks = guest.spec.disks.map((each) => (each.name === volumeId ? moved : each))
  const again = { serverId, spec: { ...guest.spec, disks } }
  const start = () => subject.agent.handle("vm.ensure", { spec: again.spec, power: "running", fence })
  const passphrase = passphrases.get(volumeId) ?? ""
  passphrases.delete(volumeId)
  await assert.rejects(start(), /no key of/)
  passphrases.set(volumeId, "wrong")
  await assert.rejects(start(), /Invalid password/)
  passphrases.set(volumeId, passphrase)
  await guests.ensure(again)
  await mustRead(again, disk, text)
  mustKeepNoKey(again)
})

test("a backup of it has nothing in clear, and is of use where the key is given with it", async () => {
  const disk = await makeEncrypted()
  const guest = await guests.share(disk)
  const text = await write(guest, disk, 100_000, 120_000)
  const dataId = newUuid()
  const how = { backend, dataId, ticket: "t", fence }
  await subject.agent.handle("volume.backup", { volumeId: disk.name, chunkBytes: mib, ...how })
  const chunks = [...(backups.backups.get(dataId)?.chunks.entries() ?? [])]
  assert.equal(
    chunks
      .find(([n]) => n === 0)?.[1]
      .subarray(0, 4)
      .toString(),
    "LUKS",
  )
  assert.ok(!chunks.some(([, data]) => data.includes("100001\n100002\n")))
  await write(guest, disk, 1, 1_000)
  const onto = await makeEncrypted()
  await subject.agent.handle("volume.restore", { volumeId: onto.name, ...how })
  passphrases.set(onto.name, passphrases.get(disk.name) ?? "")
  const from = await makeEncrypted({ kind: "backup", dataId })
  passphrases.set(from.name, passphrases.get(disk.name) ?? "")
  for (const each of [onto, from]) {
    await guests.plug(guest, each)
    await mustRead(guest, each, text)
  }
})

test("its data as an image make another one of the same key", async () => {
  const disk = await makeEncrypted()
  const guest = await guests.share(disk)
  const text = await write(guest, disk, 1, 20_000)
  const imageId = newUuid()
  const how = { volumeId: disk.name, backend, imageId, diskFormat: "raw", ticket: "t", fence }
  await subject.agent.handle("volume.upload", how)
  const data = readFileSync(stored)
  assert.equal(data.subarray(0, 4).toString(), "LUKS")
  const source = { kind: "image", imageId: "luks", checksum: md5(data), diskFormat: "luks" } as const
  const volumeId = newUuid()
  await subject.agent.handle("volume.create", { volumeId, backend, sizeBytes: 96 * mib, source, fence })
  passphrases.set(volumeId, passphrases.get(disk.name) ?? "")
  const from: DiskSpec = {
    ...{ name: volumeId, sizeBytes: 96 * mib, bus: "virtio", bootIndex: null },
    source: { kind: "volume", volumeId, backend, encrypted: true },
  }
  await guests.plug(guest, from)
  await mustRead(guest, from, text)
  assert.equal(await sectorsIn(guest, from), (96 * mib - headerBytes) / sectorBytes)
  const raw = { ...source, diskFormat: "raw" }
  const wrong = { volumeId: newUuid(), backend, sizeBytes: 96 * mib, source: raw, fence }
  await assert.rejects(subject.agent.handle("volume.create", wrong), /declared as raw and is luks/)
})

test("a volume becomes encrypted and plain again, whatever a guest wrote into it, and each is repeatable", async () => {
  const volumeId = newUuid()
  const disk: DiskSpec = {
    ...{ name: volumeId, sizeBytes: 64 * mib, bus: "virtio", bootIndex: null },
    source: { kind: "volume", volumeId, backend },
  }
  passphrases.set(volumeId, newUuid())
  await subject.agent.handle("volume.create", { volumeId, backend, sizeBytes: 64 * mib, fence })
  const file = fileOf(disk)
  // A header of LUKS of the guest's own, that would keep its host busy for hours.
  const header = Buffer.alloc(4096)
  header.write("LUKS\xba\xbe\0\x01", "latin1")
  header.writeUInt32BE(0xffff_ffff, 164)
  header.writeUInt32BE(0x00ac71f3, 208)
  header.writeUInt32BE(0xffff_ffff, 212)
  const data = Buffer.concat([header, Buffer.from(lines(1, 200_000))])
  const put = (bytes: Buffer, at: number) => {
    const whole = readFileSync(file)
    bytes.copy(whole, at)
    writeFileSync(file, whole)
  }
  put(data, 0)
  const become = (becomes: "plain" | "luks") =>
    subject.agent.handle("volume.recode", { volumeId, backend, becomes, fence })
  // What lies where the header takes the room would be lost.
  put(Buffer.from("end"), 64 * mib - 3)
  await assert.rejects(become("luks"), { code: "agent.volume.no_room_for_header" })
  put(Buffer.alloc(3), 64 * mib - 3)
  const before = readFileSync(file)
  await become("plain")
  assert.ok(readFileSync(file).equals(before), "it is so already")

  await become("luks")
  const encrypted = readFileSync(file)
  assert.equal(encrypted.length, 64 * mib)
  assert.equal(encrypted.includes("200000\n"), false)
  await become("luks")
  assert.ok(readFileSync(file).equals(encrypted), "it is so already")
  const secret = { ...disk, source: { ...disk.source, encrypted: true } } as DiskSpec
  const guest = await guests.boot([secret])
  await mustRead(guest, secret, data)
  mustKeepNoKey(guest)
  await assert.rejects(become("plain"), { code: "agent.volume.in_use" })
  await guests.destroyAll()

  await become("plain")
  assert.ok(readFileSync(file).equals(before))
})
