import assert from "node:assert/strict"
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, test } from "node:test"
import { systemClock } from "../../../platform/clock/clock.ts"
import { bootKernel, newestCloudKernel, probeAccelerator } from "./accelerator.ts"

const root = mkdtempSync(join(tmpdir(), "kumoi-accel-"))
after(() => rmSync(root, { recursive: true }))

test("a kernel that speaks has booted, one that does not is silent, nonsense is refused", async () => {
  const kernel = newestCloudKernel()
  assert.ok(kernel)
  assert.equal(await bootKernel("tcg", kernel, 60_000, systemClock), "booted")
  assert.equal(await bootKernel("tcg", kernel, 1, systemClock), "silent")
  const nonsense = join(root, "kernel")
  writeFileSync(nonsense, "no kernel")
  const refused = await bootKernel("tcg", nonsense, 20_000, systemClock)
  assert.ok(typeof refused === "object" && refused.refused !== "")
})

test("without KVM the answer is tcg with its reason, and is remembered until the facts change", async () => {
  const stateFile = join(root, "accelerator.json")
  const kvmDevice = join(root, "no-kvm")
  const probe = () => probeAccelerator({ stateFile, clock: systemClock, kvmDevice })
  const answer = await probe()
  assert.deepEqual(answer, { accelerator: "tcg", reason: `there is no ${kvmDevice}` })
  writeFileSync(kvmDevice, "")
  chmodSync(kvmDevice, 0o600)
  assert.deepEqual(await probe(), answer)
  const kept: Record<string, unknown> = JSON.parse(readFileSync(stateFile, "utf8"))
  writeFileSync(stateFile, JSON.stringify({ ...kept, qemuVersion: "0.0.1", accelerator: "kvm" }))
  const anew = await probeAccelerator({ stateFile, clock: systemClock, kvmDevice: join(root, "none") })
  assert.equal(anew.accelerator, "tcg")
})
