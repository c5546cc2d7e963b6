// The kernel of a test's machine has no NFS, so another file system is mounted: what is looked at is the mount.
import assert from "node:assert/strict"
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, before, test } from "node:test"
import { exec } from "../../platform/exec/exec.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { agentBackendAway } from "../faults.ts"
import { volumeContract } from "./contract.ts"
import { NfsVolumeDriver, type NfsVolumeOptions } from "./nfs-driver.ts"

const root = mkdtempSync(join(tmpdir(), "kumoi-nfs-"))
const directory = join(root, "the nas")
const mib = 1024 * 1024
const { signal } = new AbortController()
const open = (change: Partial<NfsVolumeOptions> = {}) =>
  new NfsVolumeDriver({ name: "nas", directory, source: "nas:/volumes", host: "host1", ...change })

const mount = () => exec("mount", ["-t", "tmpfs", "-o", "size=256m", "nas:/volumes", directory])
const unmount = () => exec("umount", [directory])

before(async () => {
  mkdirSync(directory)
  await mount()
})
after(async () => {
  await unmount()
  rmSync(root, { recursive: true })
})

volumeContract("nfs", () => open())

test("nothing is written below a mount that is missing, and nothing is taken for gone", async () => {
  const volumeId = newUuid()
  await open().create(volumeId, mib, null, signal)
  await unmount()
  try {
    const driver = open()
    for (const asked of [
      () => driver.create(newUuid(), mib, null, signal),
      () => driver.create(volumeId, mib, null, signal),
      () => driver.inspect(volumeId),
      () => driver.list(),
      () => driver.open(volumeId),
      () => driver.extend(volumeId, 2 * mib),
      () => driver.delete(volumeId),
      () => driver.setAside(volumeId),
      () => driver.capacity(),
      () => driver.removeLeftovers(),
    ]) {
      await assert.rejects(asked(), agentBackendAway.is)
    }
    assert.deepEqual(readdirSync(directory), [])
  } finally {
    await mount()
  }
})

test("something else that is mounted there is not taken for it", async () => {
  const other = open({ source: "other:/volumes" })
  const refused = await other.create(newUuid(), mib, null, signal).catch((error: unknown) => error)
  assert.ok(agentBackendAway.is(refused))
  assert.match(String(refused.cause), /nas:\/volumes is mounted at .*not other/)
  assert.doesNotMatch(refused.message, /nas:/)
  assert.ok((await open({ source: null }).capacity()).totalBytes > 0)
})

test("all that mount it say the same of it, and of another one another thing", async () => {
  const shareOf = async (driver: NfsVolumeDriver) => (await driver.capacity()).share
  const share = await shareOf(open())
  assert.match(String(share), /^nfs:[0-9a-f-]{36}$/)
  assert.equal(await shareOf(open({ host: "host2", source: null })), share)
  await mount()
  const other = await shareOf(open())
  await unmount()
  assert.notEqual(other, share)
  assert.equal(await shareOf(open()), share)
})

test("what was done while it was mounted anew has failed", async () => {
  const [first, copy] = [newUuid(), newUuid()]
  const driver = open()
  await driver.create(first, mib, null, signal)
  const take = async ({ copyStill }: { copyStill: () => Promise<void> }) => {
    await copyStill()
    await mount()
  }
  const origin = { kind: "volume" as const, volumeId: first, take }
  await assert.rejects(driver.create(copy, mib, origin, signal))
  await unmount()
})

test("a host removes what it has left unfinished, and nothing of the others", async () => {
  const volumeId = newUuid()
  await open().create(volumeId, mib, null, signal)
  const left = (host: string) => join(directory, volumeId, `volume.raw.${newUuid()}@${host}.tmp`)
  const [own, others] = [left("host1"), left("other.host1")]
  for (const path of [own, others]) writeFileSync(path, "half")
  await open().removeLeftovers()
  assert.deepEqual([existsSync(own), existsSync(others)], [false, true])
})

test("a server that does not answer in time is away", async () => {
  // The program that asks the kernel hangs with it.
  const programs = join(root, "programs")
  mkdirSync(programs)
  writeFileSync(join(programs, "stat"), "#!/bin/sh\nexec sleep 60\n", { mode: 0o755 })
  const { PATH } = process.env
  process.env.PATH = `${programs}:${PATH}`
  try {
    await assert.rejects(open({ timeoutMs: 200 }).capacity(), agentBackendAway.is)
  } finally {
    process.env.PATH = PATH
  }
})
