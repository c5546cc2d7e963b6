import assert from "node:assert/strict"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, test } from "node:test"
import { systemClock } from "../../platform/clock/clock.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { volumeContract } from "./contract.ts"
import { FakeVolumeDriver } from "./fake-driver.ts"

const root = mkdtempSync(join(tmpdir(), "kumoi-fake-volumes-"))
after(() => rmSync(root, { recursive: true }))
const options = { file: join(root, "fake/volumes.json"), clock: systemClock }

volumeContract("fake", () => new FakeVolumeDriver(options))

test("it fails and takes its time as it was told", async () => {
  const pauses: number[] = []
  const clock = { ...systemClock, sleep: async (ms: number) => void pauses.push(ms) }
  const driver = new FakeVolumeDriver({ file: join(root, "slow.json"), clock, totalBytes: 4_096 })
  driver.setControl({ failNext: 2, delayMs: 40 })
  const volumeId = newUuid()
  await assert.rejects(driver.create(volumeId, 512, null), /told to fail/)
  await assert.rejects(driver.create(volumeId, 512, null), /told to fail/)
  await driver.create(volumeId, 512, null)
  assert.deepEqual(pauses, [40, 40, 40])
  assert.deepEqual(await driver.capacity(), { totalBytes: 4_096, freeBytes: 3_584 })
})
