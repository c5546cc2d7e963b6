import assert from "node:assert/strict"
import {
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, test } from "node:test"
import { newUuid } from "../../platform/ids/ids.ts"
import { agentDataUnfit } from "../faults.ts"
import { FileVolumeDriver } from "./file-driver.ts"

const root = mkdtempSync(join(tmpdir(), "kumoi-unmanaged-"))
after(() => rmSync(root, { recursive: true }))
const mib = 1024 * 1024
const { unmanaged } = new FileVolumeDriver(root)
const beside = (name: string) => join(root, "unmanaged", name)
const data = (volumeId: string) => join(root, volumeId, "volume.raw")
mkdirSync(join(root, "unmanaged"))

test("an operator's file becomes the volume: its own data, zeros behind them, nobody else's to read", async () => {
  const volumeId = newUuid()
  writeFileSync(beside("disk of Ω.img"), Buffer.alloc(mib + 7, 5), { mode: 0o644 })
  assert.deepEqual(await unmanaged.list(), [{ name: "disk of Ω.img", sizeBytes: mib + 7, problem: null }])
  await unmanaged.take(volumeId, "disk of Ω.img", 2 * mib)
  const has = readFileSync(data(volumeId))
  assert.ok(has.subarray(0, mib + 7).every((byte) => byte === 5))
  assert.ok(has.length === 2 * mib && has.subarray(mib + 7).every((byte) => byte === 0))
  assert.equal(statSync(data(volumeId)).mode & 0o777, 0o600)
  assert.deepEqual(readdirSync(join(root, "unmanaged")), [])
})

test("what is no plain file of one name stays where it is", async () => {
  writeFileSync(join(root, "secret"), "s")
  symlinkSync(join(root, "secret"), beside("link"))
  mkdirSync(beside("directory"))
  writeFileSync(beside("empty"), "")
  writeFileSync(beside("one"), "data")
  linkSync(beside("one"), beside("two"))
  writeFileSync(beside(".hidden"), "data")
  const listed = (await unmanaged.list()).map(({ name, problem }) => [name, problem !== null])
  assert.deepEqual(
    listed.sort(),
    ["directory", "empty", "link", "one", "two"].map((name) => [name, true]),
  )
  for (const [name] of listed) {
    const volumeId = newUuid()
    await assert.rejects(unmanaged.take(volumeId, String(name), mib), agentDataUnfit.is)
    assert.ok(!existsSync(join(root, volumeId)))
    assert.ok(existsSync(beside(String(name))))
  }
  assert.equal(readFileSync(join(root, "secret"), "utf8"), "s")
})

test("a crash at any place of a take or a leave is made good by the repeated command", async () => {
  const [taken, left] = [newUuid(), newUuid()]
  // After the rename, before the record.
  mkdirSync(join(root, taken))
  writeFileSync(data(taken), Buffer.alloc(mib, 3))
  assert.equal((await unmanaged.take(taken, "gone since", 2 * mib)).sizeBytes, 2 * mib)
  assert.equal(readFileSync(data(taken))[0], 3)

  // After the second name, before the first one went: nobody takes it meanwhile.
  renameSync(data(taken), beside("half"))
  mkdirSync(join(root, left))
  linkSync(beside("half"), data(left))
  await assert.rejects(unmanaged.take(newUuid(), "half", 2 * mib), agentDataUnfit.is)
  await unmanaged.leave(left, "half")
  assert.ok(!existsSync(join(root, left)) && !existsSync(beside("half.2")))
  assert.equal(readFileSync(beside("half"))[0], 3)
  // After all of it.
  await unmanaged.leave(left, "half")
  assert.equal(statSync(beside("half")).nlink, 1)
})
