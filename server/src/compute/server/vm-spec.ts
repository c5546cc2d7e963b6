// The machine that a server's row asks for. Pure: the row and its interfaces in, plain data for the agent out.
import type { DiskSpec, VifSpec, VmSpec } from "../../agent/protocol.ts"
import { keptHardware } from "../guest-hardware/hardware.ts"
import type { MachineVolume } from "./block-device.ts"
import { keptImage } from "./image.ts"
import { instanceNameOf, isVolumeBacked, type Server } from "./server.ts"

const gib = 1024 ** 3
const mib = 1024 ** 2

export function vmSpecOf(
  server: Server,
  vifs: readonly VifSpec[],
  volumes: readonly MachineVolume[],
  configDrive: Record<string, string> | null,
): VmSpec {
  const image = keptImage(server.systemMetadata)
  const { machine, diskLimits, properties } = keptHardware(server.flavor, image)
  const ownDisks = disksOf(server).map((disk) => (diskLimits ? { ...disk, ioLimits: diskLimits } : disk))
  return {
    serverId: server.id,
    projectId: server.projectId,
    name: server.name,
    instanceName: instanceNameOf(server),
    vcpus: server.flavor.vcpus,
    ramMib: server.flavor.ramMib,
    disks: [...ownDisks, ...volumes.map(volumeDisk)],
    vifs: [...vifs],
    // The agent makes a disk of an AMI-style image bootable with the kernel that the image names; none is kept yet.
    kernelImage: null,
    ramdiskImage: null,
    kernelCommandLine: image?.properties.os_command_line ?? null,
    configDrive,
    properties,
    ...(machine && { hardware: machine }),
  }
}

/** Disks that are the machine's own: they come and go with it. */
function disksOf(server: Server): DiskSpec[] {
  const { flavor } = server
  const image = keptImage(server.systemMetadata)
  const bus = image?.properties.hw_disk_bus ?? "virtio"
  const disks: DiskSpec[] = []
  if (image && !isVolumeBacked(server)) {
    disks.push({
      name: "root",
      source: { kind: "image", imageId: image.id, checksum: image.checksum, diskFormat: image.diskFormat },
      // A flavor without a disk size takes the image as it is.
      sizeBytes: flavor.diskGib > 0 ? flavor.diskGib * gib : image.sizeBytes,
      bus,
      bootIndex: 0,
    })
  }
  if (flavor.ephemeralGib > 0) disks.push(blank("ephemeral0", flavor.ephemeralGib * gib, bus, "ephemeral0"))
  if (flavor.swapMib > 0) disks.push(blank("swap", flavor.swapMib * mib, bus, "swap"))
  return disks
}

export function volumeDisk({
  device: { bootIndex },
  volume: { id, host, backend, sizeGib, isMultiattach, encryptionKeyId },
  ioLimits,
}: MachineVolume): DiskSpec {
  return {
    name: id,
    source: {
      ...{ kind: "volume", volumeId: id, backend, host },
      ...(isMultiattach && { shared: true }),
      ...(encryptionKeyId !== null && { encrypted: true }),
    },
    sizeBytes: sizeGib * gib,
    bus: "virtio",
    bootIndex: bootIndex !== null && bootIndex >= 0 ? bootIndex : null,
    ...(ioLimits && { ioLimits }),
  }
}

/** What Linux in the guest calls the disks: by their order on the bus. */
export function diskDevicesOf(server: Server): { name: string; device: string }[] {
  // The volume from which it boots comes first.
  const first = isVolumeBacked(server) ? 1 : 0
  return disksOf(server).map(({ name, bus }, index) => ({
    name,
    device: `${bus === "virtio" ? "vd" : "sd"}${String.fromCharCode("a".charCodeAt(0) + first + index)}`,
  }))
}

function blank(name: string, sizeBytes: number, bus: string, fsLabel: string | null): DiskSpec {
  return { name, source: { kind: "blank", fsLabel }, sizeBytes, bus, bootIndex: null }
}

export interface RescueImage {
  id: string
  checksum: string
  diskFormat: string
  sizeBytes: number
  /** Set for a stable rescue: the server's own disks keep their places, and the rescue disk comes last on this bus. */
  stableBus?: string
  /** Set with it: what the guest sees. */
  isCdrom?: boolean
}

/** The same machine, started from the rescue disk, with its own disks beside it. */
export function rescueSpecOf(own: VmSpec, image: RescueImage): VmSpec {
  const rescue: DiskSpec = {
    name: "rescue",
    source: { kind: "image", imageId: image.id, checksum: image.checksum, diskFormat: image.diskFormat },
    sizeBytes: image.sizeBytes,
    bus: image.stableBus ?? (image.diskFormat === "iso" ? "ide" : (own.disks[0]?.bus ?? "virtio")),
    bootIndex: 0,
    ...(image.isCdrom !== undefined && { isCdrom: image.isCdrom }),
  }
  const disks = own.disks.map((disk) => ({
    ...disk,
    bootIndex: disk.bootIndex === null ? null : disk.bootIndex + 1,
  }))
  return { ...own, disks: image.stableBus === undefined ? [rescue, ...disks] : [...disks, rescue] }
}
