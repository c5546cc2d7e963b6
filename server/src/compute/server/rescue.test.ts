import assert from "node:assert/strict"
import { test } from "node:test"
import type { DiskSpec, VmSpec } from "../../agent/protocol.ts"
import { stablePlaceOf } from "./rescue.ts"
import { rescueSpecOf } from "./vm-spec.ts"

const image = (properties: Record<string, string>, diskFormat = "qcow2") => ({ diskFormat, properties })

test("a rescue is stable when the rescue image asks for it", () => {
  const disk = (stableBus: string) => ({ stableBus, isCdrom: false })
  const cd = (stableBus: string) => ({ stableBus, isCdrom: true })
  const device = (hw_rescue_device: string) => ({ hw_rescue_device })
  assert.equal(stablePlaceOf(image({}), null), null)
  assert.deepEqual(stablePlaceOf(image({ hw_rescue_bus: "scsi" }), null), disk("scsi"))
  assert.deepEqual(stablePlaceOf(image({ hw_rescue_bus: "usb" }), null), disk("usb"))
  assert.deepEqual(stablePlaceOf(image(device("disk")), null), disk("virtio"))
  assert.deepEqual(stablePlaceOf(image(device("disk")), image({ hw_disk_bus: "scsi" })), disk("scsi"))
  assert.deepEqual(stablePlaceOf(image({ hw_rescue_bus: "sata" }, "iso"), null), cd("sata"))
  // The image's format does not say it when the image does.
  assert.deepEqual(stablePlaceOf(image(device("cdrom")), null), cd("ide"))
  assert.deepEqual(stablePlaceOf(image(device("disk"), "iso"), null), disk("virtio"))
})

test("a rescue that cannot be done as asked is refused, and says what could", () => {
  assert.throws(
    () => stablePlaceOf(image({ hw_rescue_device: "floppy" }), null),
    /hw_rescue_device 'floppy'.*disk, cdrom/,
  )
  assert.throws(
    () => stablePlaceOf(image({ hw_rescue_bus: "fdc" }), null),
    /hw_rescue_bus 'fdc'.*virtio, scsi/,
  )
  const usbCd = { hw_rescue_bus: "usb", hw_rescue_device: "cdrom" }
  assert.throws(() => stablePlaceOf(image(usbCd), null), /'usb' has no CDs/)
})

test("in a stable rescue the server's own disks keep their places", () => {
  const disk = (name: string, bootIndex: number | null): DiskSpec => ({
    name,
    source: { kind: "blank", fsLabel: null },
    sizeBytes: 1,
    bus: "virtio",
    bootIndex,
  })
  const own = { disks: [disk("root", 0), disk("swap", null)] } as unknown as VmSpec
  const rescue = { id: "i", checksum: "c", diskFormat: "raw", sizeBytes: 1 }
  const places = (spec: VmSpec) => spec.disks.map(({ name, bus, bootIndex }) => [name, bus, bootIndex])
  assert.deepEqual(places(rescueSpecOf(own, { ...rescue, stableBus: "scsi" })), [
    ["root", "virtio", 1],
    ["swap", "virtio", null],
    ["rescue", "scsi", 0],
  ])
  const cd = rescueSpecOf(own, { ...rescue, stableBus: "ide", isCdrom: true }).disks.at(-1)
  assert.equal(cd?.isCdrom, true)
  assert.deepEqual(places(rescueSpecOf(own, rescue)), [
    ["rescue", "virtio", 0],
    ["root", "virtio", 1],
    ["swap", "virtio", null],
  ])
})
