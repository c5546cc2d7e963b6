// The whole network path on real engines, inside a network namespace made for it: nothing leaves this machine.
import assert from "node:assert/strict"
import { existsSync } from "node:fs"
import { join } from "node:path"
import { test } from "node:test"
import { exec } from "../../platform/exec/exec.ts"

const programs = [
  "/usr/sbin/ovs-vswitchd",
  "/usr/bin/ovn-controller",
  "/usr/bin/ovn-northd",
  "/usr/sbin/haproxy",
  "/usr/sbin/nft",
  "/usr/sbin/ethtool",
  "/usr/bin/busybox",
  "/dev/net/tun",
]
const missing = programs.filter((path) => !existsSync(path))
const skip =
  process.getuid?.() !== 0 ? "needs root" : missing.length > 0 ? `missing: ${missing.join(", ")}` : false

test("networks, guests, metadata and recovery on OVN", { skip, timeout: 600_000 }, async () => {
  await tell("ovn-story.ts")
})

test("fragments and shared addresses on OVN", { skip, timeout: 600_000 }, async () => {
  await tell("ovn-traffic-story.ts")
})

async function tell(file: string): Promise<void> {
  const netns = `kumoi-test-${process.pid}`
  await exec("ip", ["netns", "add", netns])
  try {
    await exec("ip", ["-n", netns, "link", "set", "lo", "up"])
    const story = join(import.meta.dirname, file)
    const args = ["netns", "exec", netns, process.execPath, "--test", "--test-reporter=spec", story]
    // A test runner started by a test would otherwise report in a form for its parent.
    const env = { ...process.env, NODE_TEST_CONTEXT: undefined }
    const result = await exec("ip", args, { timeoutMs: 590_000, env, okCodes: [0, 1] })
    assert.equal(result.exitCode, 0, `${result.stdout}\n${result.stderr}`)
  } finally {
    await exec("ip", ["netns", "delete", netns])
  }
}
