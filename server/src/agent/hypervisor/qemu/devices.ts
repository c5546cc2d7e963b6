// Disks and interfaces as QEMU options, with the image properties that choose their models. Pure.
import { agentPropertyUnsupported } from "../../faults.ts"
import type { DiskSpec, IoLimits, VmSpec } from "../../protocol.ts"
import type { PluggedVif } from "../hypervisor.ts"
import type { DiskFile } from "./disks.ts"

export type Device = { driver: string; id: string } & Record<string, unknown>

const diskBuses = ["virtio", "scsi", "ide", "sata", "usb"] as const
type DiskBus = (typeof diskBuses)[number]

const vifDrivers: Record<string, string> = {
  virtio: "virtio-net-pci",
  e1000: "e1000",
  e1000e: "e1000e",
  rtl8139: "rtl8139",
  vmxnet3: "vmxnet3",
  ne2k_pci: "ne2k_pci",
  pcnet: "pcnet",
}

export function isQ35(spec: VmSpec): boolean {
  return /q35/.test(spec.properties.hw_machine_type ?? "pc")
}

export interface DiskNames {
  device: string
  node: string
}

/**
 * In the order of the spec. The machine's own disks have numbers: what the user calls a disk can be 36 letters long.
 * Volumes come and go while it runs, so they have names of their own, and the numbers are without them.
 */
export function namedDisks(disks: readonly DiskSpec[]): { disk: DiskSpec; names: DiskNames }[] {
  let next = 0
  return disks.map((disk) => {
    if (disk.source.kind === "volume") return { disk, names: volumeNames(disk.source.volumeId) }
    const index = next++
    return { disk, names: { device: `disk${index}`, node: `node${index}` } }
  })
}

/**
 * The volume that is there instead of a root disk: a guest is started from it, so it has the place of one among the
 * machine's own disks, and no port of those that come and go.
 */
export function rootVolumeOf({ disks }: Pick<VmSpec, "disks">): DiskSpec | undefined {
  const boots = disks.filter(({ name, bootIndex }) => bootIndex !== null && name !== "rescue")
  const [first] = boots.toSorted((a, b) => Number(a.bootIndex) - Number(b.bootIndex))
  return first?.source.kind === "volume" ? first : undefined
}

export interface VolumeNames extends DiskNames {
  /** Of the node above it that holds the guest to its limits, and of the object that has these. */
  throttle: string
  limits: string
  /** Of the node that decrypts, and of the secret that it does it with. */
  crypt: string
  key: string
}

/** A node's name has 31 letters at most, which leaves out the last three of an id. */
export function volumeNames(volumeId: string): VolumeNames {
  const short = volumeId.replaceAll("-", "").slice(0, 29)
  return {
    device: `vol-${volumeId}`,
    node: `v-${short}`,
    throttle: `t-${short}`,
    limits: `limits-${volumeId}`,
    crypt: `e-${short}`,
    key: `luks-${volumeId}`,
  }
}

/** What the device of a volume is on top of. */
export function topNode(disk: DiskSpec): string {
  const { node, crypt, throttle } = volumeNames(disk.name)
  if (disk.ioLimits) return throttle
  return isEncrypted(disk) ? crypt : node
}

export function isEncrypted({ source }: DiskSpec): boolean {
  return source.kind === "volume" && source.encrypted === true
}

export type QemuObject = { "qom-type": string; id: string } & Record<string, unknown>

/** What must be there before its node is. */
export function volumeObjects({ disk, remote, key }: DiskFile): QemuObject[] {
  return [...(remote ? [{ ...remote.secret }] : []), ...(key ? [key] : []), ...limitObjects(disk)]
}

/** The same of a machine that runs, which is told keys otherwise. */
export function limitObjects({ name, ioLimits }: DiskSpec): QemuObject[] {
  if (!ioLimits) return []
  return [{ "qom-type": "throttle-group", id: volumeNames(name).limits, limits: throttleLimits(ioLimits) }]
}

/** None: for as long as something else than the guest goes through its volume. */
export function noThrottleLimits(limits: IoLimits): Record<string, number> {
  return Object.fromEntries(Object.keys(throttleLimits(limits)).map((name) => [name, 0]))
}

/** From `total_bytes_sec_max` to `bps-total-max`. */
export function throttleLimits(limits: IoLimits): Record<string, number> {
  return Object.fromEntries(
    Object.entries(limits).map(([key, value]) => {
      const [, way, kind, burst = ""] = /^(total|read|write)_(bytes|iops)_sec(.*)$/.exec(key) ?? []
      const name = way
        ? `${kind === "bytes" ? "bps" : "iops"}-${way}${burst.replaceAll("_", "-")}`
        : "iops-size"
      return [name, value]
    }),
  )
}

/** Names for the file below a node that was moved to it while a guest has it: a second move needs another one. */
export function movedFileNames(volumeId: string): readonly string[] {
  const { node } = volumeNames(volumeId)
  return ["f", "g"].map((letter) => `${letter}${node.slice(1)}`)
}

/** On q35 behind a port, as what is on the root bus cannot be taken away while it runs. */
export function volumeDevice(disk: DiskSpec, port: number | null): Device {
  return {
    driver: "virtio-blk-pci",
    id: volumeNames(disk.name).device,
    drive: topNode(disk),
    // virtio-blk cuts serial numbers at 20 bytes, and guests look for the cut form.
    serial: disk.name.slice(0, 20),
    // Guests flush what they want to be kept.
    "write-cache": "on",
    // Another QEMU may write to it as well; without it QEMU takes a lock on the file that keeps others out.
    ...(disk.source.kind === "volume" && disk.source.shared ? { "share-rw": true } : {}),
    ...bootOrder(disk),
    ...(port === null ? {} : atPort(port)),
  }
}

/** QEMU gives 0 to the kernel of a direct boot. */
export function bootOrder({ bootIndex }: DiskSpec): { bootindex?: number } {
  return bootIndex === null ? {} : { bootindex: bootIndex + 1 }
}

/** Empty ports of a q35 machine for what comes while it runs; a pc machine takes new devices on its root bus. */
export const q35Ports = 24
/** Of the first of them an old interface may want I/O ports as well; there are too few of these for more. */
const portsWithIo = 8
const firstSharedSlot = 0x1c

/** The first have a slot each, as the earlier programs gave them; eight of the others share one. */
export function q35Port(port: number): Device {
  const own = { driver: "pcie-root-port", id: `port${port}`, chassis: port + 1, slot: port + 1 }
  if (port < portsWithIo) return own
  const [slot, fn] = [firstSharedSlot + Math.floor((port - portsWithIo) / 8), (port - portsWithIo) % 8]
  return { ...own, addr: `${slot.toString(16)}.${fn}`, multifunction: true, "io-reserve": 0 }
}

/** Behind a port a guest looks at place 0 only, while QEMU itself would go on with place 1. */
export function atPort(port: number): { bus: string; addr: string } {
  return { bus: `port${port}`, addr: "0" }
}

/** The file that `blockdev` has below the node. */
export function fileNode(file: DiskFile): { driver: string } & Record<string, unknown> {
  const discard = file.isReadOnly ? {} : { discard: "unmap" }
  const place = file.remote?.node ?? { driver: "file", filename: file.path }
  return { ...place, ...discard, ...cacheOf(file) }
}

/** Named on both levels; "no-flush" off is what makes a guest's flush mean something. */
function cacheOf({ cache }: DiskFile) {
  return cache === null ? {} : { cache: { direct: cache.isDirect, "no-flush": false } }
}

/** `-blockdev` values; every format is named, so that nothing is ever guessed from what a guest wrote. */
export function blockdev(file: DiskFile): Blockdev {
  const { disk } = file
  if (disk.source.kind !== "volume") return dataOf(file)
  const { crypt, key, throttle, limits } = volumeNames(disk.name)
  const above = { discard: "unmap" }
  // What copies the volume takes it below these.
  const clear = isEncrypted(disk)
    ? { driver: "luks", "node-name": crypt, "key-secret": key, ...above, file: dataOf(file) }
    : dataOf(file)
  if (!disk.ioLimits) return clear
  return { driver: "throttle", "node-name": throttle, "throttle-group": limits, ...above, file: clear }
}

type Blockdev = { driver: string; "node-name": string } & Record<string, unknown>

function dataOf(file: DiskFile): Blockdev {
  const writable = { discard: "unmap", "detect-zeroes": "off" }
  const cache = cacheOf(file)
  return {
    driver: file.format,
    "node-name": file.names.node,
    "read-only": file.isReadOnly,
    ...(file.isReadOnly ? {} : writable),
    ...cache,
    file: fileNode(file),
    ...(file.backing
      ? {
          backing: {
            driver: file.backing.format,
            "read-only": true,
            file: { driver: "file", filename: file.backing.path, "read-only": true },
            ...(file.backing.format === "qcow2" ? { backing: null } : {}),
          },
        }
      : file.isReadOnly && file.format === "qcow2"
        ? { backing: null }
        : {}),
  }
}

/** Of disks and of pointers. */
export const usbController = { driver: "qemu-xhci", id: "usb0" } as const

const scsiControllers: Readonly<Record<string, string>> = {
  "virtio-scsi": "virtio-scsi-pci",
  vmpvscsi: "pvscsi",
  paravirtual: "pvscsi",
  lsilogic: "lsi53c895a",
  lsisas1068: "mptsas1068",
  lsilogicsas: "mptsas1068",
}

function scsiController({ properties }: VmSpec): string {
  const model = (properties.hw_scsi_model ?? "virtio-scsi").toLowerCase()
  const driver = scsiControllers[model]
  if (driver) return driver
  throw agentPropertyUnsupported("hw_scsi_model", model, `one of ${Object.keys(scsiControllers).join(", ")}`)
}

/** Hands out the places on controllers, and says which controllers the machine needs. */
export class DiskPlaces {
  readonly #isQ35: boolean
  readonly #scsi: string
  readonly #next = { ide: 0, sata: 0, scsi: 0, usb: 0 }
  readonly controllers: Device[] = []

  constructor(spec: VmSpec) {
    this.#isQ35 = isQ35(spec)
    this.#scsi = scsiController(spec)
  }

  /** The device's front end for a disk or a CD. */
  place(id: string, node: string, wantedBus: string, options: { isCdrom: boolean }): Device {
    const bus = diskBuses.find((name) => name === wantedBus)
    if (!bus) throw agentPropertyUnsupported("hw_disk_bus", wantedBus, `one of ${diskBuses.join(", ")}`)
    // virtio-blk has no CD; a read-only disk shows the same file system.
    if (bus === "virtio") return { driver: "virtio-blk-pci", id, drive: node }
    const kind = options.isCdrom ? "cd" : "hd"
    if (bus === "scsi") {
      if (this.#next.scsi === 0) this.controllers.push({ driver: this.#scsi, id: "scsi0" })
      return { driver: `scsi-${kind}`, id, drive: node, bus: "scsi0.0", "scsi-id": this.#next.scsi++ }
    }
    if (bus === "usb") {
      if (this.#next.usb++ === 0) this.controllers.push(usbController)
      return { driver: "usb-storage", id, drive: node, bus: `${usbController.id}.0` }
    }
    return { driver: `ide-${kind}`, id, drive: node, ...this.#atPlace(bus) }
  }

  #atPlace(bus: Extract<DiskBus, "ide" | "sata">): Record<string, unknown> {
    // q35 has six AHCI ports of its own, called ide.0 to ide.5; pc has two IDE channels with two units each.
    if (this.#isQ35) {
      const port = this.#next.sata++
      if (port > 5) throw agentPropertyUnsupported("hw_disk_bus", bus, "at most 6 disks on this bus")
      return { bus: `ide.${port}` }
    }
    if (bus === "ide") {
      const unit = this.#next.ide++
      if (unit > 3) throw agentPropertyUnsupported("hw_disk_bus", bus, "at most 4 disks on this bus")
      return { bus: `ide.${unit >> 1}`, unit: unit & 1 }
    }
    const port = this.#next.sata++
    if (port > 5) throw agentPropertyUnsupported("hw_disk_bus", bus, "at most 6 disks on this bus")
    if (port === 0) this.controllers.push({ driver: "ich9-ahci", id: "ahci0" })
    return { bus: `ahci0.${port}` }
  }
}

export function vifDeviceId(portId: string): string {
  return `vif-${portId}`
}

/** The host side. Without a tap it is a hub with one port: the link is up and leads nowhere. */
export function netdev(
  vif: Pick<PluggedVif, "portId" | "device">,
  index: number,
  hasOffload: boolean,
): { type: string; id: string } & Record<string, unknown> {
  const id = `net-${vif.portId}`
  if (vif.device === null) return { type: "hubport", id, hubid: index }
  return {
    type: "tap",
    id,
    ifname: vif.device,
    script: "no",
    downscript: "no",
    vhost: false,
    vnet_hdr: hasOffload,
  }
}

export function vifDevice(spec: VmSpec, vif: PluggedVif): Device {
  const model = spec.properties.hw_vif_model ?? "virtio"
  const driver = vifDrivers[model]
  if (!driver) {
    throw agentPropertyUnsupported("hw_vif_model", model, `one of ${Object.keys(vifDrivers).join(", ")}`)
  }
  return {
    driver,
    id: vifDeviceId(vif.portId),
    netdev: `net-${vif.portId}`,
    mac: vif.macAddress,
    // No boot from the network, so no boot ROM to run.
    romfile: "",
    ...(model === "virtio" ? { host_mtu: vif.mtu } : {}),
  }
}

/** `-netdev` takes key=value; a comma in a value is doubled. */
export function keyValues(first: string, values: Record<string, unknown>): string {
  const parts = Object.entries(values).map(([key, value]) => {
    const text = typeof value === "boolean" ? (value ? "on" : "off") : String(value)
    return `${key}=${text.replaceAll(",", ",,")}`
  })
  return [first, ...parts].join(",")
}
