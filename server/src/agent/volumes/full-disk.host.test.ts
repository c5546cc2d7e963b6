// A disk of the host fills while data of volumes are on their way: it is told, the volume stays as it was, the room is
// given back, and the same command goes through once there is room.
import assert from "node:assert/strict"
import { randomBytes } from "node:crypto"
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, before, describe, test } from "node:test"
import { exec } from "../../platform/exec/exec.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { agentDiskFull } from "../faults.ts"
import { agentDirectories } from "../machine-store.ts"
import { type FakeAgent, openFakeAgent } from "../testing/fake-agent.ts"
import { MemoryBackups } from "../testing/memory-backups.ts"
import { FileVolumeDriver } from "./file-driver.ts"

const mib = 1024 * 1024
const fence = { generation: 1, fence: 1 }
const [backend, chunkBytes] = ["file", 4 * mib]
const sizeBytes = 64 * mib
const words = randomBytes(24 * mib)

describe("a disk that fills", { skip: process.getuid?.() !== 0 }, () => {
  const dataDir = mkdtempSync(join(tmpdir(), "kumoi-full-"))
  const { volumeUploads: uploads, volumes } = agentDirectories(dataDir)
  const dir = join(volumes, backend)
  const backups = new MemoryBackups()
  const stored: number[] = []
  let host: FakeAgent

  const mount = (path: string, size: string) =>
    exec("mount", ["--mkdir", "-t", "tmpfs", "-o", `size=${size},mode=0711`, "kumoi-full", path])
  const makeLarger = (path: string) => exec("mount", ["-o", "remount,size=256m", path])
  const data = (volumeId: string) => join(dir, volumeId, "volume.raw")

  before(async () => {
    mkdirSync(volumes, { recursive: true })
    await mount(dir, "64m")
    const store = async (_imageId: string, _ticket: string, path: string) => {
      stored.push(readFileSync(path).length)
    }
    host = await openFakeAgent({
      ...{ dataDir, plugged: new Set<string>(), store, backups },
      moreBackends: [new FileVolumeDriver(dir)],
    })
    await mount(uploads, "16m")
  })
  after(async () => {
    await host.agent.release()
    for (const path of [uploads, dir]) await exec("umount", [path])
    rmSync(dataDir, { recursive: true })
  })

  async function makeVolume(has: Buffer): Promise<string> {
    const volumeId = newUuid()
    await host.agent.handle("volume.create", { volumeId, backend, sizeBytes, fence })
    writeFileSync(data(volumeId), has, { flag: "r+" })
    return volumeId
  }

  test("while a volume becomes an image or a backup, and while a backup comes back", async () => {
    const volumeId = await makeVolume(words)
    const asked = { volumeId, backend, ticket: "t", fence }
    const [dataId, imageId] = [newUuid(), newUuid()]
    const uploadAs = (diskFormat: string) =>
      host.agent.handle("volume.upload", { ...asked, imageId, diskFormat })
    const backUp = () => host.agent.handle("volume.backup", { ...asked, dataId, chunkBytes })
    for (const ask of [() => uploadAs("raw"), () => uploadAs("qcow2"), () => uploadAs("vmdk"), backUp]) {
      await assert.rejects(ask(), agentDiskFull.is)
      assert.deepEqual(readdirSync(uploads), [])
    }
    assert.deepEqual(stored, [])
    await makeLarger(uploads)
    await uploadAs("qcow2")
    await backUp()
    assert.equal(stored.length, 1)

    const other = await makeVolume(Buffer.alloc(mib, "of before"))
    const restore = () => host.agent.handle("volume.restore", { ...asked, volumeId: other, dataId })
    writeFileSync(join(dir, "filler"), Buffer.alloc(24 * mib, 1))
    await assert.rejects(restore(), agentDiskFull.is)
    assert.ok(readFileSync(data(other)).subarray(0, mib).equals(Buffer.alloc(mib, "of before")))
    assert.deepEqual(readdirSync(join(dir, other)).sort(), ["volume.json", "volume.raw"])
    await makeLarger(dir)
    await restore()
    assert.ok(readFileSync(data(other)).subarray(0, words.length).equals(words))
    assert.ok(readFileSync(data(volumeId)).subarray(0, words.length).equals(words))
  })

  test("while a volume is made of an image or of another volume", async () => {
    const source = await makeVolume(words)
    writeFileSync(join(dir, "filler"), Buffer.alloc(170 * mib, 1))
    const copy = { volumeId: newUuid(), backend, sizeBytes, fence }
    const create = { ...copy, source: { kind: "volume" as const, volumeId: source } }
    await assert.rejects(host.agent.handle("volume.create", create), agentDiskFull.is)
    assert.ok(!readdirSync(dir).includes(copy.volumeId))
    rmSync(join(dir, "filler"))
    await host.agent.handle("volume.create", create)
    assert.ok(readFileSync(data(copy.volumeId)).subarray(0, words.length).equals(words))
  })
})
