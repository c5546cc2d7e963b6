// Machines start from their disk on every bus, from qcow2 too, and in the order of their boot indices. The disk is
// a boot sector that says its name on the serial console.
import assert from "node:assert/strict"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { after, before, test } from "node:test"
import { eventually } from "../../../platform/clock/clock.ts"
import { exec } from "../../../platform/exec/exec.ts"
import { newUuid } from "../../../platform/ids/ids.ts"
import type { DiskSpec } from "../../protocol.ts"
import { makeTinyDriver, type TinyDriver } from "../../testing/tiny-driver.ts"
import type { LocalImage } from "../hypervisor.ts"
import type { QemuHypervisor } from "./qemu.ts"

let tiny: TinyDriver
let driver: QemuHypervisor
const images: Record<string, LocalImage> = {}

before(async () => {
  tiny = await makeTinyDriver()
  driver = tiny.open()
  for (const name of ["one", "two"]) {
    const path = join(tiny.directory, name)
    writeFileSync(path, bootSector(`GUEST started from ${name}\r\n`))
    images[name] = { path, format: "raw", virtualSizeBytes: 1024 * 1024 }
    await exec("qemu-img", ["convert", "-f", "raw", "-O", "qcow2", path, `${path}.qcow2`])
    images[`${name}-qcow2`] = { path: `${path}.qcow2`, format: "qcow2", virtualSizeBytes: 1024 * 1024 }
  }
})
after(async () => {
  await driver[Symbol.asyncDispose]()
  tiny.dispose()
})

/** 16-bit code that sends the text to COM1 and halts. */
function bootSector(text: string): Buffer {
  const code = [
    [0x31, 0xc0, 0x8e, 0xd8], // xor ax, ax; mov ds, ax
    [0xba, 0xf8, 0x03], // mov dx, 0x3f8
    [0xbe, 0x15, 0x7c], // mov si, 0x7c15 (the text)
    [0xac, 0x84, 0xc0, 0x74, 0x03], // next: lodsb; test al, al; jz halt
    [0xee, 0xeb, 0xf8], // out dx, al; jmp next
    [0xf4, 0xeb, 0xfd], // halt: hlt; jmp halt
  ].flat()
  const image = Buffer.alloc(1024 * 1024)
  Buffer.from([...code, ...Buffer.from(`${text}\0`)]).copy(image)
  image.writeUInt16LE(0xaa55, 510)
  return image
}

async function startedFrom(
  disks: { image: string; bus: string; bootIndex: number | null }[],
  properties: Record<string, string> = {},
): Promise<string> {
  const serverId = newUuid()
  const handle = { serverId, driver: "qemu" }
  const specs: DiskSpec[] = disks.map((disk, index) => ({
    name: `disk${index}`,
    source: { kind: "image", imageId: disk.image, checksum: "0", diskFormat: "raw" },
    sizeBytes: 0,
    bus: disk.bus,
    bootIndex: disk.bootIndex,
  }))
  const imageFiles: Record<string, LocalImage> = {}
  for (const [index, disk] of disks.entries()) {
    const image = images[disk.image]
    assert.ok(image)
    imageFiles[`disk${index}`] = image
  }
  const input = tiny.input(serverId, { disks: specs, kernelImage: null, ramdiskImage: null, properties })
  await driver.ensure({ ...input, imageFiles, power: "running" }, null)
  try {
    const said = async () => /GUEST started from (\w+)/.exec(await driver.consoleLog(handle, null))?.[1]
    return await eventually("the guest to start from a disk", said)
  } finally {
    await driver.destroy(handle)
  }
}

test("from every bus, on pc and on q35", async () => {
  for (const machine of ["pc", "q35"]) {
    for (const bus of ["virtio", "scsi", "ide", "sata"]) {
      const disks = [{ image: "one", bus, bootIndex: 0 }]
      assert.equal(await startedFrom(disks, { hw_machine_type: machine }), "one", `${machine} ${bus}`)
    }
  }
})

test("from a qcow2 image, and from the disk whose boot index is first", async () => {
  const one = { image: "one-qcow2", bus: "virtio", bootIndex: 1 }
  const two = { image: "two-qcow2", bus: "virtio", bootIndex: 0 }
  assert.equal(await startedFrom([one, two]), "two")
  assert.equal(await startedFrom([one, { ...two, bootIndex: null }]), "one")
})
