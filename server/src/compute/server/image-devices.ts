// What an image says of the disks of servers that boot from it: the property `block_device_mapping`, in Nova's words. An
// image of a server that boots from a volume has no data, and names the snapshots of that server's volumes there.
import { Type } from "typebox"
import { knownPart } from "../../platform/schema/known.ts"
import { badRequest } from "../faults.ts"
import type { BlockDevice } from "./block-device.ts"
import type { BlockDeviceRequest } from "./block-device-request.ts"

const nullable = <T extends Parameters<typeof Type.Union>[0][number]>(type: T) =>
  Type.Optional(Type.Union([type, Type.Null()]))
const words = nullable(Type.String({ maxLength: 255 }))

const ImageDevice = Type.Object({
  source_type: Type.String({ maxLength: 255 }),
  destination_type: words,
  snapshot_id: words,
  volume_id: words,
  image_id: words,
  boot_index: nullable(Type.Integer()),
  volume_size: nullable(Type.Integer({ minimum: 0 })),
  guest_format: words,
  device_name: words,
  delete_on_termination: nullable(Type.Boolean()),
  volume_type: words,
  tag: words,
  disk_bus: words,
  no_device: nullable(Type.Boolean()),
})

const devicesSchema = Type.Array(ImageDevice)

/** The property of an image that is made of these snapshots, one of each device's volume. */
export function mappingOf(
  devices: readonly { device: BlockDevice; snapshotId: string; sizeGib: number }[],
): Record<string, string> {
  const mapping = devices.map(({ device, snapshotId, sizeGib }) => ({
    source_type: "snapshot",
    destination_type: "volume",
    snapshot_id: snapshotId,
    boot_index: device.bootIndex,
    device_name: device.deviceName,
    delete_on_termination: device.deleteOnTermination,
    volume_size: sizeGib,
    ...{ disk_bus: "virtio", guest_format: null, no_device: null },
    ...{ image_id: null, volume_id: null, volume_type: null, tag: null },
  }))
  return { block_device_mapping: JSON.stringify(mapping), bdm_v2: "True" }
}

const isTrue = (text: string | undefined) => text !== undefined && /^(true|yes|on|1|t|y)$/i.test(text)

/** None when it says nothing. In the old form, which clients of EC2 wrote, it says nothing either. */
export function devicesOfImage({
  properties,
}: {
  properties: Readonly<Record<string, string>>
}): BlockDeviceRequest[] {
  const { block_device_mapping: text, bdm_v2 } = properties
  if (text === undefined || !isTrue(bdm_v2)) return []
  const read = knownPart(devicesSchema, parsed(text))
  if (!read)
    throw badRequest(
      "Block Device Mapping is Invalid: the image's property block_device_mapping is no list of devices.",
    )
  return read
    .filter(({ no_device }) => !no_device)
    .map((device) => ({
      sourceType: device.source_type,
      destinationType: device.destination_type ?? "local",
      uuid: device.snapshot_id ?? device.volume_id ?? device.image_id ?? null,
      bootIndex: device.boot_index ?? null,
      sizeGib: device.volume_size ?? null,
      guestFormat: device.guest_format ?? null,
      deviceName: device.device_name ?? null,
      deleteOnTermination: device.delete_on_termination ?? false,
      volumeType: device.volume_type ?? null,
      tag: device.tag ?? null,
      diskBus: device.disk_bus ?? null,
    }))
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

/** What the request says goes before what the image says of the same device. */
export function mergeDevices(
  imageId: string,
  asked: readonly BlockDeviceRequest[],
  ofImage: readonly BlockDeviceRequest[],
): BlockDeviceRequest[] {
  const isRoot = ({ bootIndex }: BlockDeviceRequest) => bootIndex === 0
  const hasRoot = ofImage.some(isRoot)
  const root = { ...nothing, sourceType: "image", destinationType: "local", uuid: imageId, bootIndex: 0 }
  const first = asked.length === 0 && !hasRoot ? [root] : asked
  // Clients say with every request that its image is booted; here the image says what that means.
  const own = hasRoot ? first.filter((device) => !(isRoot(device) && device.sourceType === "image")) : first
  const names = new Set(own.flatMap(({ deviceName }) => deviceName ?? []))
  return [...own, ...ofImage.filter(({ deviceName }) => deviceName === null || !names.has(deviceName))]
}

const nothing = {
  ...{ sizeGib: null, guestFormat: null, deviceName: null, deleteOnTermination: false },
  ...{ volumeType: null, tag: null, diskBus: null },
}
