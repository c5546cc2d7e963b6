// A disk that went to another host has there what it had, on an image that lies there, too: also where the guest has
// written zeros over what is in the image.
import assert from "node:assert/strict"
import { randomFillSync } from "node:crypto"
import { readdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { after, before, test } from "node:test"
import { exec } from "../../../platform/exec/exec.ts"
import { newUuid } from "../../../platform/ids/ids.ts"
import type { DiskSpec } from "../../protocol.ts"
import { makeTinyDriver, type TinyDriver } from "../../testing/tiny-driver.ts"
import type { LocalImage } from "../hypervisor.ts"
import type { QemuHypervisor } from "./qemu.ts"

const mib = 1024 ** 2
const imageBytes = 8 * mib
const disks: DiskSpec[] = [
  {
    name: "root",
    source: { kind: "image", imageId: "one", checksum: "0", diskFormat: "raw" },
    ...{ sizeBytes: 16 * mib, bus: "virtio", bootIndex: 0 },
  },
  {
    name: "ephemeral0",
    source: { kind: "blank", fsLabel: null },
    ...{ sizeBytes: 4 * mib, bus: "virtio", bootIndex: null },
  },
]

let tiny: TinyDriver
let driver: QemuHypervisor
let image: LocalImage

before(async () => {
  tiny = await makeTinyDriver()
  driver = tiny.open()
  const path = join(tiny.directory, "image")
  writeFileSync(path, randomFillSync(Buffer.alloc(imageBytes)))
  image = { path, format: "raw", virtualSizeBytes: imageBytes }
})
after(async () => {
  await driver[Symbol.asyncDispose]()
  tiny.dispose()
})

/** A machine that is off; says where its disks are. */
async function makeMachine(): Promise<{ handle: { serverId: string; driver: string }; dir: string }> {
  const serverId = newUuid()
  const input = tiny.input(serverId, { disks, kernelImage: null, ramdiskImage: null })
  const handle = await driver.ensure({ ...input, imageFiles: { root: image }, power: "shutdown" }, null)
  return { handle, dir: join(tiny.vmsDir, serverId, "disks") }
}

const written = async (format: string, path: string, ...commands: string[]) =>
  await exec("qemu-io", ["-f", format, ...commands.flatMap((command) => ["-c", command]), path])

async function received(path: string): Promise<LocalImage> {
  const { stdout } = await exec("qemu-img", ["info", "-f", "qcow2", "--output=json", path])
  return { path, format: "qcow2", virtualSizeBytes: JSON.parse(stdout)["virtual-size"] }
}

test("a disk over an image and a blank one come over as they are, and once more when asked again", async () => {
  const [from, to] = [await makeMachine(), await makeMachine()]
  await written(
    "qcow2",
    join(from.dir, "root.qcow2"),
    "write -P 7 0 1M",
    "write -P 9 12M 1M",
    "write -z 4M 1M",
  )
  await written("raw", join(from.dir, "ephemeral0.raw"), "write -P 5 1M 64k")
  // What was there is gone.
  await written("qcow2", join(to.dir, "root.qcow2"), "write -P 1 6M 1M")
  await written("raw", join(to.dir, "ephemeral0.raw"), "write -P 1 3M 64k")
  for (let i = 0; i < 2; i++) {
    for (const [name, format] of [
      ["root", "qcow2"],
      ["ephemeral0", "raw"],
    ] as const) {
      const path = join(tiny.directory, `${name}-on-its-way`)
      await driver.snapshot(from.handle, name, path)
      await driver.receiveDisk(to.handle, name, await received(path))
      const files = [from.dir, to.dir].map((dir) => join(dir, `${name}.${format}`))
      await exec("qemu-img", ["compare", "-f", format, "-F", format, ...files])
    }
  }
  assert.deepEqual(readdirSync(to.dir).sort(), ["ephemeral0.raw", "root.qcow2"])
  const { stdout } = await exec("qemu-img", ["info", "--output=json", join(to.dir, "root.qcow2")])
  assert.equal(JSON.parse(stdout)["backing-filename"], image.path)
})

test("an image that is larger than the disk is refused, and the disk stays as it was", async () => {
  const { handle, dir } = await makeMachine()
  const path = join(tiny.directory, "large")
  await exec("qemu-img", ["create", "-q", "-f", "qcow2", path, String(64 * mib)])
  await assert.rejects(driver.receiveDisk(handle, "root", await received(path)), /smaller than its image/)
  await assert.rejects(driver.receiveDisk(handle, "other", await received(path)), /no disk "other"/)
  assert.deepEqual(readdirSync(dir).sort(), ["ephemeral0.raw", "root.qcow2"])
})
