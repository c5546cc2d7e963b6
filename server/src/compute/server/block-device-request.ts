// What a request for a server says of its disks: which image it boots from, which volumes it has and which are made for
// it. In Nova's words where it is refused.
import { Type } from "typebox"
import {
  findVolumeType,
  type Volume,
  visibleSnapshot,
  visibleVolume,
  volumeOfSnapshot,
} from "../../block-storage/index.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { Fault } from "../../platform/fault/fault.ts"
import { isUuid, newUuid } from "../../platform/ids/ids.ts"
import { badRequest } from "../faults.ts"
import type { NewBlockDevice } from "./block-device.ts"
import { chooseDeviceName, localDeviceNames } from "./device-name.ts"
import { type BootImage, bootImage, imageOfVolume } from "./image.ts"
import type { FlavorSnapshot, Server } from "./server.ts"

const nullableText = Type.Union([Type.String(), Type.Null()])

export const BlockDeviceRequest = Type.Object({
  sourceType: Type.String(),
  destinationType: Type.String(),
  uuid: nullableText,
  bootIndex: Type.Union([Type.Integer(), Type.Null()]),
  sizeGib: Type.Union([Type.Integer(), Type.Null()]),
  guestFormat: nullableText,
  deviceName: nullableText,
  deleteOnTermination: Type.Boolean(),
  volumeType: nullableText,
  tag: nullableText,
  diskBus: nullableText,
})
export type BlockDeviceRequest = Type.Static<typeof BlockDeviceRequest>

const sources = ["volume", "image", "snapshot", "blank"] as const
type Source = (typeof sources)[number]
const isSource = (word: string): word is Source => (sources as readonly string[]).includes(word)

/** A volume that the server is to have. */
export interface VolumeWish extends BlockDeviceRequest {
  sourceType: Source
}

export interface DiskRequest {
  /** What the root disk is made of; null: it is a volume. */
  imageId: string | null
  volumes: VolumeWish[]
}

/** A machine has places for fewer; each is looked up while the client waits. */
const devicesMost = 128

const invalid = (why: string) => badRequest(`Block Device Mapping is Invalid: ${why}`)
const bootSequenceInvalid = () =>
  invalid("Boot sequence for the instance and image/block device mapping combination is not valid.")

interface AskedDisks {
  imageId: string | null
  blockDevices: readonly BlockDeviceRequest[]
  maxCount: number
}

/** Without looking at anything. */
export function readDisks({ imageId, blockDevices, maxCount }: AskedDisks): DiskRequest {
  if (blockDevices.length === 0) {
    if (imageId === null) throw badRequest("Invalid imageRef provided.")
    return { imageId, volumes: [] }
  }
  if (blockDevices.length > devicesMost)
    throw invalid(`there are ${blockDevices.length} devices, and a server has ${devicesMost} at the most.`)
  for (const device of blockDevices) checkForm(device)
  const local = blockDevices.filter(({ destinationType }) => destinationType === "local")
  const volumes = blockDevices.filter(isVolumeWish)
  const root = local.find(({ sourceType }) => sourceType === "image")
  if (root && imageId !== null && root.uuid !== imageId)
    throw invalid("the boot device names another image than imageRef.")
  checkBootSequence(blockDevices)
  const isOfVolume = volumes.some(({ bootIndex }) => bootIndex === 0)
  if (maxCount > 1 && volumes.some(({ sourceType }) => sourceType === "volume"))
    throw badRequest("Cannot attach one or more volumes to multiple instances")
  const ids = volumes.flatMap(({ sourceType, uuid }) => (sourceType === "volume" ? [uuid] : []))
  if (new Set(ids).size < ids.length) throw invalid("a volume is named twice.")
  const named = volumes.find(({ deviceName }) => deviceName !== null && /^(\/dev\/)?vda$/.test(deviceName))
  if (named && !isOfVolume)
    throw badRequest("The volume cannot be assigned the same device name as the root device vda")
  return { imageId: isOfVolume ? null : (root?.uuid ?? imageId), volumes }
}

function isVolumeWish(device: BlockDeviceRequest): device is VolumeWish {
  return device.destinationType === "volume"
}

function checkForm({
  sourceType,
  destinationType,
  uuid,
  bootIndex,
  sizeGib,
  diskBus,
}: BlockDeviceRequest): void {
  if (!isSource(sourceType)) throw invalid("Invalid source_type field.")
  if (sourceType !== "blank" && uuid === null) throw invalid("Missing device UUID.")
  if (sourceType === "blank" && uuid !== null) throw invalid("Invalid device UUID.")
  if (destinationType === "local") {
    const isRoot = sourceType === "image" && bootIndex === 0
    if (!isRoot && sourceType !== "blank") throw invalid(`Mapping ${sourceType} to local is not supported.`)
    return
  }
  if (sourceType === "blank" && !sizeGib)
    throw badRequest("Blank volumes (source: 'blank', dest: 'volume') need to have non-zero size")
  if (sourceType === "image" && !sizeGib)
    throw badRequest("Images with destination_type 'volume' need to have a non-zero size specified")
  if (diskBus !== null && diskBus !== "virtio")
    throw invalid(`volumes are virtio disks; the disk_bus ${diskBus} is not served.`)
}

/** From 0 on without a gap. */
function checkBootSequence(devices: readonly BlockDeviceRequest[]): void {
  const indexes = devices.flatMap(({ bootIndex }) =>
    bootIndex !== null && bootIndex >= 0 ? [bootIndex] : [],
  )
  if (indexes.length === 0 || indexes.toSorted((a, b) => a - b).some((index, place) => index !== place))
    throw bootSequenceInvalid()
}

/** Blank local disks come with the flavor; a request may say so, and no more than the flavor has. */
export function checkLocalDisks(
  devices: readonly BlockDeviceRequest[],
  flavor: Pick<FlavorSnapshot, "ephemeralGib" | "swapMib">,
): void {
  const blank = devices.filter((each) => each.sourceType === "blank" && each.destinationType === "local")
  const swap = blank.filter(({ guestFormat }) => guestFormat === "swap")
  if (swap.length > 1) throw invalid("More than one swap drive requested.")
  if (swap.some(({ sizeGib }) => (sizeGib ?? 0) > flavor.swapMib))
    throw badRequest("Swap drive requested is larger than instance type allows.")
  const ephemeral = blank.filter(({ guestFormat }) => guestFormat !== "swap")
  const asked = ephemeral.reduce((sum, { sizeGib }) => sum + (sizeGib ?? flavor.ephemeralGib), 0)
  if (asked > flavor.ephemeralGib)
    throw badRequest(
      "Ephemeral disks requested are larger than the instance type allows. If no size is given in one block device " +
        "mapping, flavor ephemeral size will be used.",
    )
}

export interface PlannedVolumes {
  wishes: readonly VolumeWish[]
  /** What the boot volume says of the image that it was made from; null: it boots from no volume. */
  boot: BootVolume | null
}

export interface BootVolume {
  image: BootImage | null
  sizeGib: number
}

/** Looks at all that the wishes name, as the caller sees it. */
export async function planVolumes(
  ctx: Ctx,
  wishes: readonly VolumeWish[],
  knows: KnowsMultiattach,
): Promise<PlannedVolumes> {
  let boot: BootVolume | null = null
  for (const wish of wishes) {
    const found = await lookAt(ctx, wish, knows)
    if (wish.bootIndex !== 0) continue
    // Of a blank one nobody says that it boots; its server may be rescued, or reached by a console.
    if (!found.isBootable && wish.sourceType !== "blank")
      throw badRequest(`Block Device ${wish.uuid} is not bootable.`)
    boot = { image: found.image, sizeGib: found.sizeGib }
  }
  return { wishes, boot }
}

/** Below microversion 2.60 nobody expects that others write to a server's volume. */
export function checkMultiattach(volume: Volume, { knowsMultiattach = false }: KnowsMultiattach): void {
  if (volume.isMultiattach && !knowsMultiattach)
    throw badRequest("Multiattach volumes are only supported starting with compute API version 2.60.")
}

interface KnowsMultiattach {
  knowsMultiattach?: boolean
}

interface Found {
  isBootable: boolean
  image: BootImage | null
  sizeGib: number
}

async function lookAt(
  ctx: Ctx,
  { sourceType, uuid, sizeGib, volumeType }: VolumeWish,
  knows: KnowsMultiattach,
): Promise<Found> {
  const id = uuid ?? ""
  if (volumeType !== null && sourceType !== "volume") await orRefuse(() => findVolumeType(ctx, volumeType))
  const nothing: Found = { isBootable: false, image: null, sizeGib: sizeGib ?? 0 }
  if (sourceType === "blank") return nothing
  if (sourceType === "image") return { ...nothing, isBootable: true, image: await bootImage(ctx, id) }
  if (sourceType === "volume") {
    const volume = await found("volume", id, () => visibleVolume(ctx, id))
    checkMultiattach(volume, knows)
    return { ...factsOf(volume), sizeGib: volume.sizeGib }
  }
  const snapshot = await found("snapshot", id, () => visibleSnapshot(ctx, id))
  if (snapshot.status !== "available")
    throw invalid(`snapshot ${id} is ${snapshot.status}, and must be available.`)
  if (sizeGib !== null && sizeGib < snapshot.sizeGib)
    throw invalid(`volume_size ${sizeGib} is smaller than snapshot ${id} of ${snapshot.sizeGib} GiB.`)
  const volume = await volumeOfSnapshot(ctx.db, snapshot)
  const facts = volume ? factsOf(volume) : nothing
  return { ...facts, sizeGib: sizeGib ?? snapshot.sizeGib }
}

function factsOf({ isBootable, imageMetadata }: Volume) {
  return { isBootable, image: imageMetadata === null ? null : imageOfVolume(imageMetadata) }
}

async function found<T>(what: string, id: string, look: () => Promise<T>): Promise<T> {
  if (!isUuid(id)) throw invalid(`failed to get ${what} ${id}.`)
  try {
    return await look()
  } catch (error) {
    if (error instanceof Fault && error.kind === "not_found") throw invalid(`failed to get ${what} ${id}.`)
    throw error
  }
}

async function orRefuse(look: () => Promise<unknown>): Promise<void> {
  try {
    await look()
  } catch (error) {
    if (error instanceof Fault && error.kind === "not_found") throw badRequest(error.message)
    throw error
  }
}

/** Rows of one server. Those that give no name get the next one that is free. */
export function devicesOf(
  server: Pick<Server, "id" | "flavor" | "imageId" | "systemMetadata" | "hasVolumes">,
  wishes: readonly VolumeWish[],
): NewBlockDevice[] {
  const taken = localDeviceNames(server as Server)
  const named = wishes.map((wish) => {
    const asked = wish.bootIndex === 0 ? (wish.deviceName ?? "/dev/vda") : wish.deviceName
    if (asked === null) return null
    const name = chooseDeviceName(asked, taken)
    taken.push(name)
    return name
  })
  return wishes.map((wish, index) => {
    const name = named[index] ?? chooseDeviceName(null, taken)
    taken.push(name)
    const { sourceType, uuid, sizeGib, volumeType, bootIndex, deleteOnTermination, tag } = wish
    return {
      ...{ id: newUuid(), serverId: server.id, sourceType, sourceId: uuid, sizeGib, volumeType },
      volumeId: sourceType === "volume" ? uuid : null,
      ...{ bootIndex, deviceName: name, deleteOnTermination, tag, attachmentId: null },
    }
  })
}
