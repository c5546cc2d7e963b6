// The command line that takes up a saved guest. QEMU must have every device at the place where the guest knows it, as
// it was when the memory was saved: what was plugged since the start is there, what was unplugged is not, and places
// that QEMU had chosen itself are named. Pure.
import type { PciBus, PciDevice } from "../../qmp/index.ts"
import type { EnsureInput, PluggedVif } from "../hypervisor.ts"
import {
  blockdev,
  type Device,
  keyValues,
  netdev,
  type QemuObject,
  volumeDevice,
  volumeObjects,
} from "./devices.ts"
import { diskFiles } from "./disks.ts"
import type { RunDirectory } from "./run-directory.ts"

export interface Place {
  addr: string
  /** Id of the bridge behind which it is; null on the root bus. */
  bridge: string | null
}

/** Where each device with an id of ours is. */
export function placesOf(buses: readonly PciBus[]): Map<string, Place> {
  const places = new Map<string, Place>()
  const visit = (devices: readonly PciDevice[], bridge: string | null) => {
    for (const { qdev_id: id, slot, function: fn, pci_bridge } of devices) {
      if (id !== "") places.set(id, { addr: `${slot.toString(16)}.${fn}`, bridge })
      visit(pci_bridge?.devices ?? [], id)
    }
  }
  for (const bus of buses) visit(bus.devices, null)
  return places
}

export interface LivingMachine {
  /** As QEMU was started, without the program's name. */
  args: readonly string[]
  /** Of each device; those of interfaces and volumes are there while the machine has them. */
  places: ReadonlyMap<string, Place>
  /** Front ends of the interfaces that it has now. */
  vifDevices: readonly Device[]
  /** The volumes that it has now, each with how it is opened, and what that needs. */
  volumes: readonly { objects: readonly QemuObject[]; blockdev: object; device: Device }[]
  /** The machine's type with its version, so that a newer QEMU makes the same. */
  machineType: string
}

/** Of a machine that has what its spec says, wherever on its buses that is. */
export function volumesOf(directory: RunDirectory, input: EnsureInput): LivingMachine["volumes"] {
  return diskFiles(directory, input)
    .filter(({ disk }) => disk.source.kind === "volume")
    .map((file) => ({
      objects: volumeObjects(file),
      blockdev: blockdev(file),
      device: volumeDevice(file.disk, null),
    }))
}

/** Interfaces are left without their host side: that is made anew (`restoreLine`). */
export function savedLine(machine: LivingMachine): string[] {
  const { places } = machine
  const vifs = machine.vifDevices.filter(({ id }) => places.has(id))
  const volumes = machine.volumes.filter(({ device }) => places.has(device.id))
  const line: string[] = []
  for (const [option, value] of pairsOf(machine.args)) {
    if (option === "-incoming" || option === "-netdev") continue
    if (option === "-machine")
      line.push(option, [machine.machineType, ...value.split(",").slice(1)].join(","))
    else if (option === "-device") {
      const device: Device = JSON.parse(value)
      const isKept = !isVif(device.id) && !isVolume(device.id)
      if (isKept) line.push(option, JSON.stringify(placed(device, places)))
    } else if (option === "-blockdev" && isVolumeNode(value)) continue
    else if (option === "-object" && isVolumeObject(value)) continue
    else line.push(option, ...(value === "" ? [] : [value]))
  }
  const fronts = [...vifs, ...volumes.map(({ device }) => device)]
  return [
    ...line,
    ...volumes.flatMap(({ objects, blockdev }) => [
      ...objects.flatMap((object) => ["-object", JSON.stringify(object)]),
      "-blockdev",
      JSON.stringify(blockdev),
    ]),
    ...fronts.flatMap((device) => ["-device", JSON.stringify(placed(device, places))]),
  ]
}

/** With the host sides as they are now. An interface that was taken away meanwhile leads nowhere. */
export function restoreLine(saved: readonly string[], vifs: readonly PluggedVif[], hasTapOffload: boolean) {
  const netdevs = savedVifIds(saved).flatMap((portId, index) => {
    const vif = vifs.find((v) => v.portId === portId)
    const { type, ...values } = netdev(vif ?? { portId, device: null }, index, hasTapOffload)
    return ["-netdev", keyValues(type, values)]
  })
  return [...netdevs, ...saved]
}

export function savedVifIds(saved: readonly string[]): string[] {
  return savedDeviceIds(saved)
    .filter(isVif)
    .map((id) => id.slice(vifPrefix.length))
}

export function savedVolumeIds(saved: readonly string[]): string[] {
  return savedDeviceIds(saved)
    .filter(isVolume)
    .map((id) => id.slice(volumePrefix.length))
}

function savedDeviceIds(saved: readonly string[]): string[] {
  return pairsOf(saved)
    .filter(([option]) => option === "-device")
    .map(([, value]) => (JSON.parse(value) as Device).id)
}

const vifPrefix = "vif-"
const volumePrefix = "vol-"

function isVolume(id: string): boolean {
  return id.startsWith(volumePrefix)
}

/** As `volumeNames` makes them; the machine's own disks have other names. */
function isVolumeNode(value: string): boolean {
  const { "node-name": name }: { "node-name"?: string } = JSON.parse(value)
  return /^[vte]-/.test(name ?? "")
}

/** Those of the machine itself are written as key=value. */
function isVolumeObject(value: string): boolean {
  return value.startsWith("{")
}

function isVif(id: string): boolean {
  return id.startsWith(vifPrefix)
}

function placed(device: Device, places: ReadonlyMap<string, Place>): Device {
  const place = places.get(device.id)
  if (!place) return device
  return { ...device, ...(place.bridge === null ? {} : { bus: place.bridge }), addr: place.addr }
}

/** Options with their value; empty for those that take none. */
function pairsOf(args: readonly string[]): [option: string, value: string][] {
  const pairs: [string, string][] = []
  for (const arg of args) {
    const last = pairs.at(-1)
    if (arg.startsWith("-") || !last) pairs.push([arg, ""])
    else last[1] = arg
  }
  return pairs
}
