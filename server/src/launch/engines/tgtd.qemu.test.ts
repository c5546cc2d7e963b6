// A real guest (tcg) of one host with a volume of another: by QEMU's own initiator, as its user, from a real tgtd.
import assert from "node:assert/strict"
import { createHash } from "node:crypto"
import { chmodSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, afterEach, before, describe, test } from "node:test"
import { freePort } from "../../../test/free-port.ts"
import { agentVolumeConnected } from "../../agent/faults.ts"
import type { DiskSpec } from "../../agent/protocol.ts"
import { makeQemuAgent, type QemuAgent } from "../../agent/testing/qemu-agent.ts"
import { testRunAs } from "../../agent/testing/tiny-driver.ts"
import { makeTinyGuest } from "../../agent/testing/tiny-guest.ts"
import { guestFence as fence, VolumeGuests } from "../../agent/testing/volume-guests.ts"
import { IscsiVolumeDriver } from "../../agent/volumes/iscsi-driver.ts"
import { eventually, systemClock } from "../../platform/clock/clock.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { silentLogger } from "../../platform/log/log.ts"
import { Supervisor } from "../../platform/supervise/supervisor.ts"
import { tgtdEngine } from "./tgtd.ts"

const mib = 1024 * 1024
const isRoot = process.getuid?.() === 0

describe("a guest with a volume of another host", {
  skip: isRoot ? false : "QEMU's user is another one",
}, () => {
  const root = mkdtempSync(join(tmpdir(), "kumoi-iscsi-"))
  chmodSync(root, 0o711)
  const supervisor = new Supervisor({ runDir: join(root, "run"), log: silentLogger })
  const agents: QemuAgent[] = []
  const [there, here] = ["there", "here"].map(
    (name, index) => new VolumeGuests(join(root, name), () => agents[index] ?? assert.fail(name), "san"),
  ) as [VolumeGuests, VolumeGuests]
  let asked = 0

  before(async () => {
    const guest = await makeTinyGuest(root)
    const user = { uid: 65_534, gid: 65_534 }
    const target = { portal: `127.0.0.1:${await freePort()}`, user, socketPath: join(root, "tgt/ctl") }
    for (const name of ["there", "here"]) {
      const dataDir = join(root, name)
      const directory = join(dataDir, "agent/volumes/san")
      const san = { name: "san", directory, reachedDir: join(dataDir, "reached") }
      const driver = new IscsiVolumeDriver({ ...san, target: name === "there" ? target : null })
      if (driver.target) await supervisor.start(tgtdEngine({ driver, logDir: root, log: silentLogger }))
      agents.push(
        await makeQemuAgent({
          ...{ dataDir, guest, clock: systemClock, log: silentLogger, volumes: [driver] },
          qemu: { runAs: testRunAs },
          volumeKeys: {
            of: async () => ({ passphrase: "a secret", cipher: "aes-xts-plain64", keySizeBits: 256 }),
            ofTpm: () => Promise.reject(new Error("no TPMs here")),
            // As the cloud hands it on.
            connect: async (volumeId) =>
              await agentOf("there").handle("volume.connect", {
                ...{ volumeId, backend: "san", host: "here" },
                fence: { generation: ++asked, fence: 0 },
              }),
          },
        }),
      )
    }
    for (const { agent } of agents) await agent.recoverAll()
  })
  afterEach(async () => {
    for (const guests of [here, there]) await guests.destroyAll()
  })
  after(async () => {
    for (const { agent } of agents) await agent.release()
    await supervisor.stopAll()
    rmSync(root, { recursive: true })
  })

  const agentOf = (name: "there" | "here") => agents[name === "there" ? 0 : 1]?.agent ?? assert.fail(name)
  const md5 = (data: Buffer) => createHash("md5").update(data).digest("hex")
  const dataOf = (id: string) => readFileSync(join(root, "there/agent/volumes/san", id, "volume.raw"))

  function seenFromHere(disk: DiskSpec): DiskSpec {
    assert.ok(disk.source.kind === "volume")
    return { ...disk, source: { ...disk.source, host: "there" } }
  }

  const write = "dd if=/dev/urandom of=/dev/$d bs=1M count=16 conv=fsync 2>/dev/null; md5sum /dev/$d"

  test("what it flushed is there, also when tgtd is killed; the other host has it afterwards", async () => {
    const disk = await there.makeVolume()
    const volumeId = disk.name
    const guest = await here.boot()
    await here.plug(guest, seenFromHere(disk))
    assert.equal(await here.tell(guest, volumeId, "cat /sys/block/$d/size"), String((64 * mib) / 512))
    const [first = ""] = (await here.tell(guest, volumeId, `{ ${write}; }`)).split(" ")
    assert.equal(first, md5(dataOf(volumeId)))
    const own = await there.boot()
    await assert.rejects(there.plug(own, disk), agentVolumeConnected.is)
    const copy = { volumeId: newUuid(), backend: "san", sizeBytes: disk.sizeBytes, fence }
    const source = { kind: "volume" as const, volumeId }
    await assert.rejects(
      agentOf("there").handle("volume.create", { ...copy, source }),
      agentVolumeConnected.is,
    )

    const pidOf = () => supervisor.status()[0]?.pid ?? assert.fail("tgtd runs")
    const before = pidOf()
    const second = here.tell(guest, volumeId, `{ ${write}; }`)
    process.kill(before, "SIGKILL")
    const [sum = ""] = (await second).split(" ")
    assert.notEqual(sum, first)
    assert.notEqual(pidOf(), before)
    assert.equal(sum, md5(dataOf(volumeId)))

    const { serverId } = guest
    await agentOf("here").handle("vm.stop", { serverId, graceMs: 0, fence })
    await agentOf("there").handle("volume.create", { ...copy, source })
    await here.ensure({ ...guest, spec: { ...guest.spec, disks: [...guest.spec.disks, seenFromHere(disk)] } })
    assert.equal((await here.tell(guest, volumeId, "md5sum /dev/$d")).split(" ")[0], sum)
    await here.unplug(guest, disk)
    await eventually("it to be free", async () => {
      await there.plug(own, disk)
      return true
    })
    assert.equal((await there.tell(own, volumeId, "md5sum /dev/$d")).split(" ")[0], sum)
  })

  test("a guest begins with it, encrypted, and what it discards is given back", async () => {
    const plain = await there.makeVolume()
    assert.ok(plain.source.kind === "volume")
    const secret = newUuid()
    const encrypted = { volumeId: secret, backend: "san", sizeBytes: plain.sizeBytes, encrypted: true, fence }
    await agentOf("there").handle("volume.create", encrypted)
    const source = { ...plain.source, volumeId: secret, encrypted: true, host: "there" }
    const guest = await here.boot([seenFromHere(plain), { ...plain, name: secret, source }])
    const words =
      "echo kumoi-in-clear | dd of=/dev/$d conv=fsync 2>/dev/null; dd if=/dev/$d bs=14 count=1 2>/dev/null"
    for (const id of [plain.name, secret])
      assert.equal(await here.tell(guest, id, `{ ${words}; }`), "kumoi-in-clear")
    assert.ok(dataOf(plain.name).includes("kumoi-in-clear"))
    assert.ok(!dataOf(secret).includes("kumoi-in-clear"))
    const allocated = async () => {
      const { volume } = await agentOf("there").handle("volume.inspect", {
        volumeId: plain.name,
        backend: "san",
      })
      return volume?.allocatedBytes ?? 0
    }
    await here.tell(guest, plain.name, `{ ${write}; }`)
    assert.ok((await allocated()) >= 16 * mib)
    await here.tell(guest, plain.name, "blkdiscard /dev/$d && echo done")
    await eventually("the room to be given back", async () => (await allocated()) < mib)
  })
})
