import assert from "node:assert/strict"
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, test } from "node:test"
import { exec } from "../../platform/exec/exec.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { agentVolumeExists, agentVolumeNotFound } from "../faults.ts"
import { forge, forgeries } from "../testing/forged-image.ts"
import { volumeContract } from "./contract.ts"
import { FileVolumeDriver } from "./file-driver.ts"
import type { TakeCopy } from "./volume-driver.ts"

const root = mkdtempSync(join(tmpdir(), "kumoi-volumes-"))
const dir = mkdtempSync(join(tmpdir(), "kumoi-volume-copies-"))
after(() => {
  for (const each of [root, dir]) rmSync(each, { recursive: true })
})
const mib = 1024 * 1024
const { signal } = new AbortController()
const driver = new FileVolumeDriver(root)
const data = (volumeId: string) => join(root, volumeId, "volume.raw")

volumeContract("file", () => new FileVolumeDriver(root))

test("the file is sparse and nobody else's, its directory may be passed and not listed", async () => {
  const volumeId = newUuid()
  await driver.create(volumeId, 64 * mib, null, signal)
  const facts = statSync(data(volumeId))
  assert.deepEqual([facts.size, facts.mode & 0o777, facts.blocks], [64 * mib, 0o600, 0])
  assert.equal(statSync(join(root, volumeId)).mode & 0o777, 0o711)
  const opened = await driver.open(volumeId)
  assert.ok(opened.kind === "file" && opened.path === data(volumeId) && opened.format === "raw")
  writeFileSync(data(volumeId), Buffer.alloc(mib, 1), { flag: "r+" })
  assert.equal((await driver.inspect(volumeId))?.allocatedBytes, mib)
})

test("what a crash left before the record was written is made anew, or taken when it is whole", async () => {
  const [half, whole, larger] = [newUuid(), newUuid(), newUuid()]
  for (const [volumeId, sizeBytes] of [
    [half, mib],
    [whole, 2 * mib],
    [larger, 3 * mib],
  ] as const) {
    mkdirSync(join(root, volumeId))
    writeFileSync(data(volumeId), Buffer.alloc(sizeBytes, 7))
    writeFileSync(`${data(volumeId)}.tmp`, "half a file")
    assert.equal(await driver.inspect(volumeId), null)
  }
  assert.deepEqual(await driver.create(half, 2 * mib, null, signal), {
    sizeBytes: 2 * mib,
    allocatedBytes: 0,
  })
  assert.equal(readFileSync(data(half)).indexOf(7), -1)
  assert.equal((await driver.create(whole, 2 * mib, null, signal)).sizeBytes, 2 * mib)
  // Whose that is, nobody knows.
  await assert.rejects(driver.create(larger, 2 * mib, null, signal), agentVolumeExists.is)
  assert.equal(statSync(data(larger)).size, 3 * mib)
  const listed = await driver.list()
  assert.equal(listed.find(({ volumeId }) => volumeId === larger)?.sizeBytes, 0)
})

test("an extend that a crash cut short ends in the larger size, whatever is asked for next", async () => {
  const volumeId = newUuid()
  await driver.create(volumeId, mib, null, signal)
  writeFileSync(data(volumeId), Buffer.alloc(3 * mib))
  assert.equal((await driver.inspect(volumeId))?.sizeBytes, mib)
  assert.equal((await driver.extend(volumeId, 2 * mib)).sizeBytes, 3 * mib)
  assert.equal(statSync(data(volumeId)).size, 3 * mib)
})

test("a volume whose data are gone is missed, and not made anew", async () => {
  const volumeId = newUuid()
  await driver.create(volumeId, mib, null, signal)
  rmSync(data(volumeId))
  await assert.rejects(driver.create(volumeId, mib, null, signal), agentVolumeNotFound.is)
  await assert.rejects(driver.open(volumeId), agentVolumeNotFound.is)
})

test("what is set aside keeps its data, each under a name of its own", async () => {
  const volumeId = newUuid()
  for (const word of ["first", "second"]) {
    await driver.create(volumeId, mib, null, signal)
    writeFileSync(data(volumeId), word, { flag: "r+" })
    await driver.setAside(volumeId)
  }
  const lost = join(root, "lost+found")
  const entries = readdirSync(lost).filter((name) => name.startsWith(volumeId))
  assert.deepEqual(entries.sort(), [volumeId, `${volumeId}.2`])
  const kept = entries.map((name) => readFileSync(join(lost, name, "volume.raw")).toString("utf8", 0, 5))
  assert.deepEqual(kept, ["first", "secon"])
})

test("a copy has the data and the holes; a revert brings them back, with zeros beyond", async () => {
  const [first, copy] = [newUuid(), newUuid()]
  await driver.create(first, 16 * mib, null, signal)
  writeFileSync(data(first), Buffer.alloc(mib, 7), { flag: "r+" })
  const take: TakeCopy = ({ copyStill }) => copyStill()
  const from = (volumeId: string) => ({ kind: "volume" as const, volumeId, take })
  const facts = await driver.create(copy, 32 * mib, from(first), signal)
  assert.deepEqual(facts, { sizeBytes: 32 * mib, allocatedBytes: mib })
  assert.deepEqual(readdirSync(join(root, copy)).sort(), ["volume.json", "volume.raw"])
  assert.equal(statSync(data(copy)).mode & 0o777, 0o600)
  assert.ok(
    readFileSync(data(copy))
      .subarray(0, 16 * mib)
      .equals(readFileSync(data(first))),
  )
  writeFileSync(data(copy), Buffer.alloc(32 * mib, 9), { flag: "r+" })
  await driver.revert(copy, from(first), signal)
  const reverted = readFileSync(data(copy))
  assert.ok(reverted.subarray(0, 16 * mib).equals(readFileSync(data(first))))
  assert.equal(reverted.length, 32 * mib)
  assert.equal(
    reverted.subarray(mib).findIndex((byte) => byte !== 0),
    -1,
  )
})

test("a copy that is ended in its middle leaves nothing, and a revert the data of before", async () => {
  const [first, copy] = [newUuid(), newUuid()]
  await driver.create(first, 16 * mib, null, signal)
  writeFileSync(data(first), Buffer.alloc(mib, 7), { flag: "r+" })
  const origin = {
    kind: "volume" as const,
    volumeId: first,
    take: (({ copyStill }) => copyStill()) as TakeCopy,
  }
  await assert.rejects(driver.create(copy, 16 * mib, origin, AbortSignal.abort()))
  assert.equal(existsSync(join(root, copy)), false)
  await driver.create(copy, 16 * mib, null, signal)
  writeFileSync(data(copy), Buffer.alloc(mib, 9), { flag: "r+" })
  await assert.rejects(driver.revert(copy, origin, AbortSignal.abort()))
  assert.equal(readFileSync(data(copy))[0], 9)
  assert.deepEqual(readdirSync(join(root, copy)).sort(), ["volume.json", "volume.raw"])
})

for (const kind of forgeries) {
  test(`what QEMU was to copy to is obeyed by nobody: its header is forged (${kind})`, async () => {
    const volumeId = newUuid()
    await driver.create(volumeId, 16 * mib, null, signal)
    const secret = join(dir, "secret")
    writeFileSync(secret, "for root alone ".repeat(70_000).slice(0, mib), { mode: 0o600 })
    let written = Buffer.alloc(0)
    const take: TakeCopy = async ({ to, copyImage }) => {
      if (to.kind !== "file") return assert.fail("it is copied to a file")
      await forge(kind, to.path, secret)
      written = readFileSync(to.path)
      await copyImage()
    }
    const copy = newUuid()
    await driver.create(copy, 16 * mib, { kind: "volume", volumeId, take }, signal)
    const copied = readFileSync(data(copy))
    assert.ok(copied.subarray(0, written.length).equals(written), "they are data like any others")
    assert.ok(!copied.includes("for root alone"))
    for (const diskFormat of ["raw", "qcow2", "vmdk"]) {
      const path = join(dir, `${newUuid()}.${diskFormat}`)
      await driver.copyOut(volumeId, { path, diskFormat, take }, signal)
      const raw = `${path}.read`
      await exec("qemu-img", ["convert", "-f", diskFormat, "-O", "raw", path, raw])
      assert.ok(readFileSync(raw).subarray(0, written.length).equals(written))
      assert.ok(!readFileSync(raw).includes("for root alone"))
    }
  })
}

test("what a killed agent was copying is removed, and nothing that has its name", async () => {
  const [volume, half, unknown] = [newUuid(), newUuid(), newUuid()]
  await driver.create(volume, mib, null, signal)
  for (const volumeId of [half, unknown]) mkdirSync(join(root, volumeId))
  for (const volumeId of [volume, half]) writeFileSync(`${data(volumeId)}.${newUuid()}.tmp`, "half a file")
  writeFileSync(data(unknown), "whole, without its record")
  await driver.removeLeftovers()
  assert.deepEqual(readdirSync(join(root, volume)).sort(), ["volume.json", "volume.raw"])
  assert.equal(existsSync(join(root, half)), false)
  assert.deepEqual(readdirSync(join(root, unknown)), ["volume.raw"])
})

test("only ids become paths", async () => {
  for (const wrong of [
    "",
    "..",
    "../x",
    newUuid().toUpperCase(),
    newUuid().replaceAll("-", ""),
    "lost+found",
  ]) {
    await assert.rejects(driver.create(wrong, mib, null, signal), /not a volume's id/)
    await assert.rejects(driver.delete(wrong), /not a volume's id/)
  }
})
