import assert from "node:assert/strict"
import { test } from "node:test"
import { devicesOfImage, mergeDevices } from "./image-devices.ts"

const snapshot = { source_type: "snapshot", destination_type: "volume", snapshot_id: "s" }
const imageWith = (mapping: unknown, bdm_v2 = "True") => ({
  properties: { block_device_mapping: JSON.stringify(mapping), bdm_v2 },
})
const root = devicesOfImage(imageWith([{ ...snapshot, boot_index: 0, device_name: "/dev/vda" }]))
const data = devicesOfImage(imageWith([{ ...snapshot, boot_index: null, device_name: "/dev/vdb" }]))
const local = {
  ...root[0],
  sourceType: "image",
  destinationType: "local",
  uuid: "i",
  deviceName: null,
} as const
type Devices = Parameters<typeof mergeDevices>[1]
const merged = (asked: object[], ofImage: Devices) =>
  mergeDevices("i", asked as Devices, ofImage).map(({ sourceType, deviceName }) => [sourceType, deviceName])

test("an image says which disks a server has in the newer form only, and what is no list is refused", () => {
  assert.equal(root[0]?.uuid, "s")
  assert.deepEqual(devicesOfImage(imageWith([snapshot], "False")), [])
  assert.deepEqual(devicesOfImage({ properties: {} }), [])
  assert.deepEqual(devicesOfImage(imageWith([{ ...snapshot, no_device: true }])), [])
  for (const wrong of [{}, [1], [{ source_type: 1 }], [{ ...snapshot, boot_index: "x" }]])
    assert.throws(() => devicesOfImage(imageWith(wrong)), /block_device_mapping is no list of devices/)
})

test("what a request says goes before the image, and its entry for the image gives way to a root of the image's", () => {
  assert.deepEqual(merged([], root), [["snapshot", "/dev/vda"]])
  assert.deepEqual(merged([local], root), [["snapshot", "/dev/vda"]])
  assert.deepEqual(merged([], data), [
    ["image", null],
    ["snapshot", "/dev/vdb"],
  ])
  const own = {
    ...local,
    sourceType: "blank",
    destinationType: "volume",
    bootIndex: null,
    deviceName: "/dev/vdb",
  }
  assert.deepEqual(merged([local, own], [...root, ...data]), [
    ["blank", "/dev/vdb"],
    ["snapshot", "/dev/vda"],
  ])
})
