import assert from "node:assert/strict"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, test } from "node:test"
import { systemClock } from "../../platform/clock/clock.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import type { VolumeBackEnd } from "./back-end-kinds.ts"
import { volumeContract } from "./contract.ts"
import type { IscsiVolumeDriver } from "./iscsi-driver.ts"
import { forgottenBackEnds, makeDrivers } from "./make-drivers.ts"

const volumesDir = mkdtempSync(join(tmpdir(), "kumoi-back-ends-"))
after(() => rmSync(volumesDir, { recursive: true }))
const { signal } = new AbortController()
const mib = 1024 * 1024

function drivers(isSimulated: boolean, ...backEnds: VolumeBackEnd[]) {
  const canReach = (path: string) => !path.startsWith("/root")
  const tgtd = { socket: (name: string) => join(volumesDir, `${name}.ctl`), user: null, canReach }
  return makeDrivers({ backEnds, isSimulated, volumesDir, host: "host1", canReach, tgtd, clock: systemClock })
}

test("a host has one of its own when nothing is configured, where it always was", async () => {
  const [file, ...more] = drivers(false)
  assert.deepEqual([file?.name, file?.abilities.protocol, more.length], ["file", "file", 0])
  const volumeId = newUuid()
  await file?.create(volumeId, mib, null, signal)
  const opened = await file?.open(volumeId)
  assert.ok(opened?.kind === "file" && opened.path === join(volumesDir, "file", volumeId, "volume.raw"))
  assert.deepEqual(
    drivers(true).map(({ name }) => name),
    ["fake"],
  )
})

test("each has its own volumes, and keeps them", async () => {
  const two: VolumeBackEnd[] = [
    { name: "one", kind: "fake" },
    { name: "two", kind: "fake" },
  ]
  const volumeId = newUuid()
  await drivers(true, ...two)[0]?.create(volumeId, mib, null, signal)
  const again = await Promise.all(drivers(true, ...two).map((driver) => driver.inspect(volumeId)))
  assert.deepEqual(
    again.map((facts) => facts?.sizeBytes),
    [mib, undefined],
  )
})

test("simulated hosts that have a directory reach the same volumes", async () => {
  const directory = join(volumesDir, "everybody's")
  const [one, other] = [
    drivers(true, { name: "x", kind: "fake", directory }),
    drivers(true, { name: "y", kind: "fake", directory }),
  ]
  const volumeId = newUuid()
  await one[0]?.create(volumeId, mib, null, signal)
  assert.equal((await other[0]?.extend(volumeId, 2 * mib))?.sizeBytes, 2 * mib)
  assert.equal((await one[0]?.inspect(volumeId))?.sizeBytes, 2 * mib)
  const [a, b] = await Promise.all([one[0]?.capacity(), other[0]?.capacity()])
  assert.match(a?.share ?? "", /^fake:[0-9a-f-]{36}$/)
  assert.equal(a?.share, b?.share)
  await other[0]?.delete(volumeId)
  assert.equal(await one[0]?.inspect(volumeId), null)
})

volumeContract("fake in a directory of everybody's", () => {
  const [driver] = drivers(true, { name: "x", kind: "fake", directory: join(volumesDir, "shared") })
  if (!driver) throw new Error("it was not made")
  return driver
})

test("what does not go together is refused", () => {
  const refused = { code: "config.invalid" }
  assert.throws(() => drivers(true, { name: "file", kind: "file" }), refused)
  assert.throws(() => drivers(false, { name: "fake", kind: "fake" }), refused)
  assert.throws(() => drivers(false, { name: "x", kind: "file", directory: "/root/volumes" }), refused)
})

test("one that gives volumes to other hosts has a portal, and one that does not has no room", async () => {
  const san: VolumeBackEnd = { name: "san", kind: "iscsi" }
  const [giver, reacher] = [
    ...drivers(false, { ...san, portal: "10.1.0.5" }),
    ...drivers(false, san),
  ] as IscsiVolumeDriver[]
  assert.equal(giver?.target?.portal, "10.1.0.5:3260")
  assert.equal((await giver?.capacity())?.connects, "san")
  assert.deepEqual(await reacher?.capacity(), { totalBytes: 0, freeBytes: 0, connects: "san" })
  // tgtd's user could not open anything there; who gives nothing needs no such user.
  const closed: VolumeBackEnd = { ...san, directory: "/root/volumes" }
  assert.throws(() => drivers(false, { ...closed, portal: "10.1.0.5" }), { code: "config.invalid" })
})

test("volumes of a back end that is not configured any more are seen", async () => {
  const options = { isSimulated: false, volumesDir }
  const [old] = drivers(false, { name: "old", kind: "file" })
  await old?.create(newUuid(), mib, null, signal)
  const forgotten = forgottenBackEnds({ ...options, backEnds: [{ name: "file", kind: "file" }] })
  assert.ok(forgotten.includes("old") && !forgotten.includes("file"))
  assert.deepEqual(forgottenBackEnds({ ...options, backEnds: [], volumesDir: join(volumesDir, "none") }), [])
})

volumeContract("file in a directory of the operator's", () => {
  const [driver] = drivers(false, { name: "x", kind: "file", directory: join(volumesDir, "elsewhere") })
  if (!driver) throw new Error("it was not made")
  return driver
})
