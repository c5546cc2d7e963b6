// What every driver of volumes promises, as one suite of tests.
import assert from "node:assert/strict"
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, before, describe, test } from "node:test"
import { newUuid } from "../../platform/ids/ids.ts"
import { agentDataNotFound, agentVolumeExists, agentVolumeNotFound, agentVolumeTooSmall } from "../faults.ts"
import { inspectImage } from "../image-cache/inspect-image.ts"
import type { TakeCopy, VolumeDriver } from "./volume-driver.ts"

const mib = 1024 * 1024
const { signal } = new AbortController()

/** Of a volume that nothing has open. */
const atRest: TakeCopy = ({ copyStill }) => copyStill()

/** `open`: a driver over the same volumes, as after a restart of the agent. */
export function volumeContract(name: string, open: () => VolumeDriver): void {
  describe(`volume contract: ${name}`, () => {
    const files = mkdtempSync(join(tmpdir(), "kumoi-volume-contract-"))
    const emptyFile = join(files, "empty")
    before(() => writeFileSync(emptyFile, ""))
    after(() => rmSync(files, { recursive: true }))

    test("a volume is made once, blank, found by the next driver, and gone when it is deleted", async () => {
      const volumeId = newUuid()
      const driver = open()
      assert.equal(await driver.inspect(volumeId), null)
      assert.deepEqual(await driver.create(volumeId, 8 * mib, null, signal), {
        sizeBytes: 8 * mib,
        allocatedBytes: 0,
      })
      assert.equal((await driver.create(volumeId, 8 * mib, null, signal)).sizeBytes, 8 * mib)
      await assert.rejects(driver.create(volumeId, 4 * mib, null, signal), agentVolumeExists.is)
      await assert.rejects(driver.create(volumeId, 16 * mib, null, signal), agentVolumeExists.is)
      const next = open()
      assert.equal((await next.inspect(volumeId))?.sizeBytes, 8 * mib)
      assert.ok((await next.list()).some((one) => one.volumeId === volumeId && one.sizeBytes === 8 * mib))
      await next.delete(volumeId)
      await next.delete(volumeId)
      assert.equal(await next.inspect(volumeId), null)
      assert.ok(!(await next.list()).some((one) => one.volumeId === volumeId))
    })

    test("a volume grows and never shrinks", async () => {
      const volumeId = newUuid()
      const driver = open()
      await driver.create(volumeId, 4 * mib, null, signal)
      for (const [asked, has] of [
        [6, 6],
        [6, 6],
        [5, 6],
      ] as const) {
        assert.equal((await driver.extend(volumeId, asked * mib)).sizeBytes, has * mib)
      }
      assert.equal((await open().inspect(volumeId))?.sizeBytes, 6 * mib)
      await driver.delete(volumeId)
      await assert.rejects(driver.extend(volumeId, 8 * mib), agentVolumeNotFound.is)
    })

    test("a volume is made from another, as large or larger, and either outlives the other", async () => {
      const [first, same, larger] = [newUuid(), newUuid(), newUuid()]
      const driver = open()
      await driver.create(first, 4 * mib, null, signal)
      const origin = { kind: "volume" as const, volumeId: first, take: atRest }
      const make = (volumeId: string, sizeBytes: number) => driver.create(volumeId, sizeBytes, origin, signal)
      assert.equal((await make(same, 4 * mib)).sizeBytes, 4 * mib)
      assert.equal((await make(larger, 8 * mib)).sizeBytes, 8 * mib)
      await assert.rejects(make(newUuid(), 2 * mib), agentVolumeTooSmall.is)
      await driver.delete(first)
      // The repeated command finds the volume whole, and needs the other one no more.
      assert.equal((await open().create(same, 4 * mib, origin, signal)).sizeBytes, 4 * mib)
      const late = newUuid()
      await assert.rejects(make(late, 4 * mib), agentVolumeNotFound.is)
      assert.equal(await driver.inspect(late), null)
      assert.ok(!(await driver.list()).some(({ volumeId }) => volumeId === late))
    })

    test("a copy that fails leaves nothing, and the next one makes the volume", async () => {
      const [first, second] = [newUuid(), newUuid()]
      const driver = open()
      await driver.create(first, 4 * mib, null, signal)
      const breaks: TakeCopy = async () => {
        throw new Error("it broke off")
      }
      const from = (take: TakeCopy) => ({ kind: "volume" as const, volumeId: first, take })
      await assert.rejects(driver.create(second, 4 * mib, from(breaks), signal), /it broke off/)
      assert.equal(await driver.inspect(second), null)
      assert.ok(!(await driver.list()).some(({ volumeId }) => volumeId === second))
      assert.equal((await driver.create(second, 4 * mib, from(atRest), signal)).sizeBytes, 4 * mib)
      await assert.rejects(driver.revert(second, from(breaks), signal), /it broke off/)
      assert.equal((await driver.inspect(second))?.sizeBytes, 4 * mib)
    })

    test("a volume that is reverted keeps its size, and is never too small for the data", async () => {
      const [small, large] = [newUuid(), newUuid()]
      const driver = open()
      await driver.create(small, 4 * mib, null, signal)
      await driver.create(large, 8 * mib, null, signal)
      const to = (volumeId: string) => ({ kind: "volume" as const, volumeId, take: atRest })
      for (const _ of [1, 2]) {
        assert.equal((await driver.revert(large, to(small), signal)).sizeBytes, 8 * mib)
      }
      await assert.rejects(driver.revert(small, to(large), signal), agentVolumeTooSmall.is)
      await assert.rejects(driver.revert(newUuid(), to(small), signal), agentVolumeNotFound.is)
      await assert.rejects(driver.revert(large, to(newUuid()), signal), agentVolumeNotFound.is)
    })

    test("a volume gets the data of an image, and keeps its size", async () => {
      const driver = open()
      const volumeId = newUuid()
      const image = (virtualSizeBytes: number) => ({
        kind: "image" as const,
        open: async () => ({ path: emptyFile, format: "raw" as const, virtualSizeBytes }),
      })
      await assert.rejects(driver.revert(volumeId, image(mib), signal), agentVolumeNotFound.is)
      await driver.create(volumeId, 2 * mib, null, signal)
      for (const _ of [1, 2])
        assert.equal((await driver.revert(volumeId, image(mib), signal)).sizeBytes, 2 * mib)
      await assert.rejects(driver.revert(volumeId, image(3 * mib), signal), agentVolumeTooSmall.is)
      assert.equal((await driver.inspect(volumeId))?.sizeBytes, 2 * mib)
    })

    test("a volume is made from an image that has room in it, which is fetched for a new one alone", async () => {
      const driver = open()
      const volumeId = newUuid()
      let fetched = 0
      const image = (virtualSizeBytes: number) => ({
        kind: "image" as const,
        open: async () => {
          fetched++
          return { path: emptyFile, format: "raw" as const, virtualSizeBytes }
        },
      })
      await assert.rejects(driver.create(volumeId, mib, image(mib + 512), signal), agentVolumeTooSmall.is)
      for (const _ of [1, 2]) {
        assert.equal((await driver.create(volumeId, mib, image(mib), signal)).sizeBytes, mib)
      }
      assert.equal(fetched, 2)
    })

    test("a volume becomes the data of an image", async (t) => {
      const dir = mkdtempSync(join(tmpdir(), "kumoi-volume-image-"))
      t.after(() => rmSync(dir, { recursive: true }))
      const driver = open()
      const volumeId = newUuid()
      const copyOut = (diskFormat: string) =>
        driver.copyOut(volumeId, { path: join(dir, diskFormat), diskFormat, take: atRest }, signal)
      await assert.rejects(copyOut("raw"), agentVolumeNotFound.is)
      await driver.create(volumeId, 4 * mib, null, signal)
      for (const diskFormat of ["raw", "qcow2"]) {
        await copyOut(diskFormat)
        const image = await inspectImage(volumeId, join(dir, diskFormat), diskFormat)
        if (diskFormat === "qcow2") assert.equal(image.virtualSizeBytes, 4 * mib)
      }
      assert.deepEqual(readdirSync(dir).sort(), ["qcow2", "raw"])
    })

    test("what was set aside is not there any more, and may be asked for again", async () => {
      const volumeId = newUuid()
      const driver = open()
      await driver.create(volumeId, mib, null, signal)
      await driver.setAside(volumeId)
      await driver.setAside(volumeId)
      assert.equal(await driver.inspect(volumeId), null)
      await assert.rejects(driver.open(volumeId), agentVolumeNotFound.is)
    })

    test("a volume that is left is beside the volumes, and another one takes its data, once", async () => {
      const [first, second, third] = [newUuid(), newUuid(), newUuid()]
      let driver = open()
      const mustHave = ({ unmanaged }: VolumeDriver) => unmanaged ?? assert.fail("checked below")
      if (!driver.unmanaged) return
      const name = `volume-${first}`
      const beside = async () => (await mustHave(open()).list()).filter((one) => one.name.startsWith(name))
      await driver.create(first, 4 * mib, null, signal)
      for (const _ of [1, 2]) await mustHave(driver).leave(first, name)
      assert.equal(await driver.inspect(first), null)
      assert.ok(!(await driver.list()).some(({ volumeId }) => volumeId === first))
      assert.deepEqual(await beside(), [{ name, sizeBytes: 4 * mib, problem: null }])
      await assert.rejects(mustHave(driver).take(second, name, 2 * mib), agentVolumeTooSmall.is)
      for (const _ of [1, 2]) {
        assert.equal((await mustHave(driver).take(second, name, 8 * mib)).sizeBytes, 8 * mib)
        driver = open()
      }
      assert.equal((await driver.inspect(second))?.sizeBytes, 8 * mib)
      assert.deepEqual(await beside(), [])
      await assert.rejects(mustHave(driver).take(third, name, 8 * mib), agentDataNotFound.is)
      assert.equal(await driver.inspect(third), null)
      assert.ok(!(await driver.list()).some(({ volumeId }) => volumeId === third), "and leaves nothing")
      for (const bad of ["../x", "a/b", "..", ".x", "", "a\n"])
        await assert.rejects(mustHave(driver).take(third, bad, 8 * mib), /without "\/"/)

      await driver.create(third, mib, null, signal)
      await mustHave(driver).leave(second, name)
      await mustHave(driver).leave(third, name)
      const names = (await beside()).map((one) => [one.name, one.sizeBytes]).sort()
      assert.deepEqual(names, [
        [name, 8 * mib],
        [`${name}.2`, mib],
      ])
    })

    test("the pool says what room it has", async () => {
      const { totalBytes, freeBytes } = await open().capacity()
      assert.ok(totalBytes >= freeBytes && freeBytes > 0)
    })
  })
}
