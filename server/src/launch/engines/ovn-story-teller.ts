// Runs a story of the network inside a network namespace made for it: nothing leaves this machine.
import assert from "node:assert/strict"
import { existsSync } from "node:fs"
import { join } from "node:path"
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

/** Why no story can be told here; false where it can. */
export function whySkipped(more: readonly string[] = []): string | false {
  const missing = [...programs, ...more].filter((path) => !existsSync(path))
  if (process.getuid?.() !== 0) return "needs root"
  return missing.length > 0 ? `missing: ${missing.join(", ")}` : false
}

export async function tellStory(file: string, timeoutMs: number): Promise<void> {
  const netns = `kumoi-test-${process.pid}`
  await exec("ip", ["netns", "add", netns])
  try {
    await exec("ip", ["-n", netns, "link", "set", "lo", "up"])
    const story = join(import.meta.dirname, file)
    const args = ["netns", "exec", netns, process.execPath, "--test", "--test-reporter=spec", story]
    // A test runner started by a test would otherwise report in a form for its parent.
    const env = { ...process.env, NODE_TEST_CONTEXT: undefined }
    const result = await exec("ip", args, { timeoutMs, env, okCodes: [0, 1] })
    assert.equal(result.exitCode, 0, `${result.stdout}\n${result.stderr}`)
  } finally {
    await exec("ip", ["netns", "delete", netns])
  }
}
