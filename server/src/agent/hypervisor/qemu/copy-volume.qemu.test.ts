// Volumes of a guest that must stand still for a copy.
import assert from "node:assert/strict"
import { existsSync } from "node:fs"
import { join } from "node:path"
import { test } from "node:test"
import { newUuid } from "../../../platform/ids/ids.ts"
import { agentGuestAgentMissing } from "../../faults.ts"
import type { DiskSpec } from "../../protocol.ts"
import { makeTinyDriver } from "../../testing/tiny-driver.ts"

test("of an image that wants its guests to stand still no volume is copied while they do not", async () => {
  const tiny = await makeTinyDriver({ isReachable: true })
  const owner = tiny.open()
  const serverId = newUuid()
  const handle = { serverId, driver: "qemu" }
  try {
    const volumeId = newUuid()
    const volume = await tiny.volume(volumeId, 1024 * 1024)
    const disk: DiskSpec = {
      ...{ name: volumeId, sizeBytes: 1024 * 1024, bus: "virtio", bootIndex: null },
      source: { kind: "volume", volumeId, backend: "file", host: "host1" },
    }
    const { spec, ...input } = tiny.input(serverId, { properties: { os_require_quiesce: "yes" } })
    const own = { ...spec, disks: [...spec.disks, disk] }
    await owner.ensure({ ...input, spec: own, volumes: { [volumeId]: volume }, power: "running" }, null)
    const path = join(tiny.directory, "copy.raw")
    let taken = 0
    const wanted = {
      ...{ volumeId, name: newUuid(), to: { kind: "file" as const, path } },
      copyStill: async () => void taken++,
      copyImage: async () => void taken++,
      signal: new AbortController().signal,
    }
    // There is no agent in it that could be asked.
    await assert.rejects(owner.copyVolumes(handle, [wanted]), agentGuestAgentMissing.is)
    assert.deepEqual([taken, (await owner.inspect(handle)).power], [0, "running"])
    // One that does not run stands still.
    await owner.setPower(handle, "shutdown", { graceMs: 0 })
    for (const { end } of await owner.copyVolumes(handle, [wanted])) await end()
    assert.equal(taken, 1)
    assert.ok(!existsSync(path))
  } finally {
    await owner.destroy(handle)
    await owner[Symbol.asyncDispose]()
    tiny.dispose()
  }
})
