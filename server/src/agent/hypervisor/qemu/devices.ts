// Disks and interfaces as QEMU options, with the image properties that choose their models. Pure.
import { agentPropertyUnsupported } from "../../faults.ts"
import type { VmSpec } from "../../protocol.ts"
import type { PluggedVif } from "../hypervisor.ts"
import type { DiskFile } from "./disks.ts"

export type Device = { driver: string; id: string } & Record<string, unknown>

const diskBuses = ["virtio", "scsi", "ide", "sata"] as const
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

/** Names of QEMU's own are short and in the order of the spec; what the user calls a disk can be 36 letters long. */
export function diskDeviceId(index: number): string {
  return `disk${index}`
}

export function diskNodeName(index: number): string {
  return `node${index}`
}

/** `-blockdev` values; every format is named, so that nothing is ever guessed from what a guest wrote. */
export function blockdev(file: DiskFile, nodeName: string): Record<string, unknown> {
  const writable = { discard: "unmap", "detect-zeroes": "off" }
  return {
    driver: file.format,
    "node-name": nodeName,
    "read-only": file.isReadOnly,
    ...(file.isReadOnly ? {} : writable),
    file: { driver: "file", filename: file.path, ...(file.isReadOnly ? {} : { discard: "unmap" }) },
    ...(file.backing
      ? {
          backing: {
            driver: file.backing.format,
            "read-only": true,
            file: { driver: "file", filename: file.backing.path, "read-only": true },
            ...(file.backing.format === "qcow2" ? { backing: null } : {}),
          },
        }
      : {}),
  }
}

/** Hands out the places on controllers, and says which controllers the machine needs. */
export class DiskPlaces {
  readonly #isQ35: boolean
  readonly #next = { ide: 0, sata: 0, scsi: 0 }
  readonly controllers: Device[] = []

  constructor(spec: VmSpec) {
    this.#isQ35 = isQ35(spec)
  }

  /** The device's front end for a disk or a CD. */
  place(id: string, node: string, wantedBus: string, options: { isCdrom: boolean }): Device {
    const bus = diskBuses.find((name) => name === wantedBus)
    if (!bus) throw agentPropertyUnsupported("hw_disk_bus", wantedBus, `one of ${diskBuses.join(", ")}`)
    // virtio-blk has no CD; a read-only disk shows the same file system.
    if (bus === "virtio") return { driver: "virtio-blk-pci", id, drive: node }
    const kind = options.isCdrom ? "cd" : "hd"
    if (bus === "scsi") {
      if (this.#next.scsi === 0) this.controllers.push({ driver: "virtio-scsi-pci", id: "scsi0" })
      return { driver: `scsi-${kind}`, id, drive: node, bus: "scsi0.0", "scsi-id": this.#next.scsi++ }
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
