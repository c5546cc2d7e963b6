import assert from "node:assert/strict"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { findCpuGroups, hierarchiesOf, weightOf } from "./cpu-groups.ts"

const first = "30 25 0:26 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct"
const memory = "31 25 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory"
const second = (mount: string) => `32 25 0:28 / ${mount} rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate`

test("the hierarchy with the cpu controller is found, of either version", () => {
  const mount = mkdtempSync(join(tmpdir(), "kumoi-cgroup-"))
  try {
    writeFileSync(join(mount, "cgroup.controllers"), "memory pids\n")
    assert.deepEqual(hierarchiesOf([memory, second(mount)].join("\n")), [])
    assert.deepEqual(hierarchiesOf([memory, first, second(mount)].join("\n")), [
      { version: 1, mount: "/sys/fs/cgroup/cpu,cpuacct" },
    ])
    writeFileSync(join(mount, "cgroup.controllers"), "cpuset cpu memory\n")
    assert.deepEqual(hierarchiesOf(second(mount)), [{ version: 2, mount }])
    // A directory that is no hierarchy: what is missing there is told.
    assert.match(findCpuGroups(second(mount)).problem ?? "", /cgroup\.subtree_control/)
  } finally {
    rmSync(mount, { recursive: true })
  }
})

test("shares become the second version's weights: the usual stays usual, and so do the ends", () => {
  assert.deepEqual(
    [1, 2, 512, 1_024, 2_048, 262_144, 300_000].map(weightOf),
    [1, 1, 59, 100, 174, 10_000, 10_000],
  )
})
