import assert from "node:assert/strict"
import { test } from "node:test"
import type { DiskSpec, VmSpec } from "../../agent/protocol.ts"
import { stableBusOf } from "./rescue.ts"
import { rescueSpecOf } from "./vm-spec.ts"

const image = (properties: Record<string, string>, diskFormat = "qcow2") => ({ diskFormat, properties })

test("a rescue is stable when the rescue image asks for it", () => {
  assert.equal(stableBusOf(image({}), null), null)
  assert.equal(stableBusOf(image({ hw_rescue_bus: "scsi" }), null), "scsi")
  assert.equal(stableBusOf(image({ hw_rescue_device: "disk" }), null), "virtio")
  assert.equal(stableBusOf(image({ hw_rescue_device: "disk" }), image({ hw_disk_bus: "scsi" })), "scsi")
  assert.equal(stableBusOf(image({ hw_rescue_device: "cdrom", hw_rescue_bus: "ide" }, "iso"), null), "ide")
})

test("a rescue that cannot be done as asked is refused, and says what could", () => {
  assert.throws(
    () => stableBusOf(image({ hw_rescue_device: "floppy" }), null),
    /hw_rescue_device 'floppy'.*'disk'/,
  )
  assert.throws(() => stableBusOf(image({ hw_rescue_device: "cdrom" }), null), /hw_rescue_device 'cdrom'/)
  assert.throws(() => stableBusOf(image({ hw_rescue_bus: "usb" }), null), /hw_rescue_bus 'usb'.*virtio, scsi/)
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
  assert.deepEqual(places(rescueSpecOf(own, rescue)), [
    ["rescue", "virtio", 0],
    ["root", "virtio", 1],
    ["swap", "virtio", null],
  ])
})
