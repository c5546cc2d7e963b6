// Two hosts and one directory that both mount: real guests (tcg) of both, each with the volume in its turn. The kernel
// of a test's machine has no NFS, so another file system is mounted.
import assert from "node:assert/strict"
import { createHash } from "node:crypto"
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, afterEach, before, describe, test } from "node:test"
import { systemClock } from "../../platform/clock/clock.ts"
import { exec } from "../../platform/exec/exec.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { silentLogger } from "../../platform/log/log.ts"
import { makeQemuAgent, type QemuAgent } from "../testing/qemu-agent.ts"
import { testRunAs } from "../testing/tiny-driver.ts"
import { makeTinyGuest } from "../testing/tiny-guest.ts"
import { guestFence as fence, VolumeGuests } from "../testing/volume-guests.ts"
import { NfsVolumeDriver } from "./nfs-driver.ts"

const isRoot = process.getuid?.() === 0
const mib = 1024 * 1024

describe("a directory that two hosts mount", { skip: isRoot ? false : "a mount needs root" }, () => {
  const root = mkdtempSync(join(tmpdir(), "kumoi-shares-"))
  const directory = join(root, "nas")
  const hosts = ["host1", "host2"] as const
  const agents = new Map<string, QemuAgent>()
  const guestsOf = (host: (typeof hosts)[number]) =>
    new VolumeGuests(join(root, host), () => agents.get(host) ?? assert.fail(`no ${host}`), "nas")
  const [one, two] = hosts.map(guestsOf) as [VolumeGuests, VolumeGuests]
  const driver = (host: string) => new NfsVolumeDriver({ name: "nas", directory, source: null, host })
  const dataOf = (id: string) => readFileSync(join(directory, id, "volume.raw"))
  const md5 = (data: Buffer) => createHash("md5").update(data).digest("hex")

  before(async () => {
    chmodSync(root, 0o711)
    mkdirSync(directory)
    await exec("mount", ["-t", "tmpfs", "-o", "size=512m,mode=0711", "nas:/volumes", directory])
    const guest = await makeTinyGuest(root)
    for (const host of hosts) {
      const dataDir = join(root, host)
      const common = { dataDir, guest, clock: systemClock, log: silentLogger, volumes: [driver(host)] }
      const subject = await makeQemuAgent({ ...common, qemu: { runAs: testRunAs } })
      agents.set(host, subject)
      await subject.agent.recoverAll()
    }
  })
  afterEach(async () => {
    for (const guests of [one, two]) await guests.destroyAll()
  })
  after(async () => {
    for (const { agent } of agents.values()) await agent.release()
    await exec("umount", [directory])
    rmSync(root, { recursive: true })
  })

  test("both say the same of it", async () => {
    const [first, second] = await Promise.all(hosts.map((host) => driver(host).capacity()))
    assert.match(String(first?.share), /^nfs:[0-9a-f-]{36}$/)
    assert.equal(second?.share, first?.share)
  })

  test("what a guest of one host flushed a guest of the other reads, and never both have it open", async () => {
    const [a, b] = [await one.boot(), await two.boot()]
    const disk = await one.makeVolume(8 * mib)
    const volumeId = disk.name
    await one.plug(a, disk)
    const write = "dd if=/dev/urandom of=/dev/$d bs=1M count=2 conv=fsync 2>/dev/null; md5sum /dev/$d"
    const [sum = ""] = (await one.tell(a, volumeId, `{ ${write}; }`)).split(" ")
    assert.equal(sum, md5(dataOf(volumeId)))
    // Even if the cloud were wrong about who has it.
    await assert.rejects(two.plug(b, disk))
    assert.equal(await two.holderOf(volumeId), null)
    await one.unplug(a, disk)
    await two.plug(b, disk)
    await assert.rejects(one.plug(a, disk))
    assert.equal((await two.tell(b, volumeId, "md5sum /dev/$d")).split(" ")[0], sum)

    // Its host copies it as it is, and makes it larger before the guest's eyes.
    const [changed = ""] = (await two.tell(b, volumeId, `{ ${write}; }`)).split(" ")
    assert.notEqual(changed, sum)
    const { agent } = agents.get("host2") ?? assert.fail()
    const copyId = newUuid()
    const source = { kind: "volume" as const, volumeId }
    const { sizeBytes } = disk
    await agent.handle("volume.create", { volumeId: copyId, backend: "nas", sizeBytes, source, fence })
    assert.equal(md5(dataOf(copyId)), changed)
    const larger = { volumeId, backend: "nas", sizeBytes: 96 * mib, fence }
    await agent.handle("volume.extend", larger)
    assert.equal(await two.tell(b, volumeId, "cat /sys/block/$d/size"), String((96 * mib) / 512))
    await two.unplug(b, disk)
    await one.plug(a, { ...disk, sizeBytes: 96 * mib })
    const before = "dd if=/dev/$d bs=1M count=8 2>/dev/null | md5sum"
    assert.equal((await one.tell(a, volumeId, `{ ${before}; }`)).split(" ")[0], changed)
  })
})
