import assert from "node:assert/strict"
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, test } from "node:test"
import { exec } from "../platform/exec/exec.ts"
import { agentDiskRefused, agentImageRefused } from "./faults.ts"
import { inspectImage } from "./image-cache/inspect-image.ts"
import { checkHeader, convertImage, createOverlay, growImage, judgeHeader } from "./qemu-img.ts"
import { forge, forgeries } from "./testing/forged-image.ts"

const dir = mkdtempSync(join(tmpdir(), "kumoi-qemu-img-"))
after(() => rmSync(dir, { recursive: true }))
const at = (name: string) => join(dir, name)
const mib = 1024 * 1024
const words = "for root alone ".repeat(70_000).slice(0, mib)
const timeoutMs = 60_000

for (const kind of forgeries) {
  test(`a header that is forged (${kind}) is refused, and leads to no other file`, async () => {
    writeFileSync(at("secret"), words, { mode: 0o600 })
    await forge(kind, at("forged"), at("secret"))
    const from = { path: at("forged"), format: "qcow2" as const }
    const base = { path: at("base"), format: "raw" as const }
    writeFileSync(base.path, "")
    for (const file of [from, { ...from, backing: base }]) {
      const converting = convertImage(file, at("out"), { options: ["-O", "raw"], timeoutMs })
      await assert.rejects(converting, agentDiskRefused.is)
      await assert.rejects(growImage(file, 2 * mib, timeoutMs), agentDiskRefused.is)
      await assert.rejects(checkHeader(file), agentDiskRefused.is)
    }
    await assert.rejects(inspectImage("1", from.path, "qcow2"), agentImageRefused.is)
    assert.equal(readFileSync(at("secret"), "utf8"), words)
    assert.throws(() => readFileSync(at("out")), { code: "ENOENT" })
  })
}

test("what a header names as its base is never opened: the known one is, also after it was moved", async () => {
  const base = { path: at("known.raw"), format: "raw" as const }
  writeFileSync(base.path, "K".repeat(mib))
  const disk = { path: at("disk"), format: "qcow2" as const, backing: base }
  await createOverlay(disk.path, base, mib, timeoutMs)
  for (const name of [at("moved/known.raw"), "nbd://127.0.0.1:1/known.raw"]) {
    await exec("qemu-img", ["rebase", "-q", "-u", "-b", name, "-F", "raw", disk.path])
    await convertImage(disk, at("copy"), { options: ["-O", "raw"], timeoutMs })
    assert.equal(readFileSync(at("copy"), "utf8"), "K".repeat(mib))
    assert.equal(statSync(at("copy")).mode & 0o777, 0o600)
  }
  await growImage(disk, 2 * mib, timeoutMs)
  await convertImage(disk, at("copy"), { options: ["-O", "raw"], timeoutMs })
  assert.equal(readFileSync(at("copy")).length, 2 * mib)
})

test("a header that is cut short or nonsense is refused", async () => {
  await exec("qemu-img", ["create", "-q", "-f", "qcow2", at("whole"), "1M"])
  const whole = readFileSync(at("whole")).subarray(0, 4096)
  assert.equal(judgeHeader(whole, null), null)
  const changed = (change: (head: Buffer) => void) => {
    const head = Buffer.from(whole)
    change(head)
    return judgeHeader(head, null)
  }
  assert.match(judgeHeader(whole.subarray(0, 60), null) ?? "", /no qcow2/)
  assert.match(judgeHeader(whole.subarray(0, 76), null) ?? "", /no qcow2/)
  assert.match(changed((head) => head.write("QED\0")) ?? "", /no qcow2/)
  assert.match(changed((head) => head.writeUInt32BE(4, 4)) ?? "", /version is 4/)
  assert.match(changed((head) => head.writeUInt32BE(1, 32)) ?? "", /encrypted/)
  assert.match(changed((head) => head.writeBigUInt64BE(4n, 72)) ?? "", /another file/)
  assert.match(changed((head) => head.writeBigUInt64BE(2n ** 63n, 8)) ?? "", /damaged/)
  assert.match(
    changed((head) => head.writeBigUInt64BE(4090n, 8) && head.writeUInt32BE(20, 16)) ?? "",
    /damaged/,
  )
  assert.match(changed((head) => head.writeBigUInt64BE(200n, 8)) ?? "", /backing file/)
})
