// The whole QEMU command line of a machine. Pure: the same input gives the same line.
import { createHash } from "node:crypto"
import { agentPlaceMissing, agentPropertyUnsupported } from "../../faults.ts"
import type { VmSpec } from "../../protocol.ts"
import type { EnsureInput } from "../hypervisor.ts"
import {
  blockdev,
  bootOrder,
  DiskPlaces,
  isQ35,
  keyValues,
  netdev,
  q35Port,
  q35Ports,
  rootVolumeOf,
  usbController,
  vifDevice,
  volumeDevice,
  volumeObjects,
} from "./devices.ts"
import { diskFiles } from "./disks.ts"
import { type Firmware, firmwareOf, wantsSecureBoot } from "./firmware.ts"
import { hasGuestAgent } from "./guest-agent.ts"
import { guestMemory } from "./guest-memory.ts"
import type { RunDirectory } from "./run-directory.ts"
import { tpmDevice } from "./tpm.ts"

export interface MachineOptions {
  accelerator: "kvm" | "tcg"
  /** QEMU gives up root for this user once everything is open; null keeps the user it is started as. */
  runAs: { uid: number; gid: number } | null
  /** Upper bound of the translated code that tcg keeps for one machine. */
  tcgCacheMib: number
  /** Checksum and segmentation offload on taps; not with OVS's userspace datapath, which drops such frames. */
  hasTapOffload: boolean
  /** OVMF, for hw_firmware_type=uefi; null when this host has none. */
  firmware: Firmware | null
  /** Of the guest's memory; null or left out: the host's usual pages. */
  pageKib?: number | null
}

const vcpusMax = 255

const videoDevices: Record<string, string> = {
  vga: "VGA",
  cirrus: "cirrus-vga",
  virtio: "virtio-vga",
  vmvga: "vmware-svga",
  bochs: "bochs-display",
  qxl: "qxl-vga",
}

export function commandLine(directory: RunDirectory, input: EnsureInput, options: MachineOptions): string[] {
  const { spec } = input
  return [
    ...identity(directory, spec),
    ...confinement(options),
    ...processor(spec, options),
    ...firmware(directory, spec, options),
    ...channels(directory, spec),
    ...disks(directory, input),
    ...interfaces(input, options),
    ...extras(spec),
    ...guestAgent(directory, spec),
    ...tpmDevice(directory, spec),
    ...volumes(input),
    ...directBoot(input),
    // The agent lets it go (`cont`) once it listens to the events.
    "-S",
  ]
}

function identity(directory: RunDirectory, spec: VmSpec): string[] {
  const product = {
    type: 1,
    manufacturer: "OpenStack Foundation",
    product: "OpenStack Nova",
    version: "Kumoi",
    serial: spec.serverId,
    uuid: spec.serverId,
    family: "Virtual Machine",
  }
  return [
    "-name",
    `guest=${spec.instanceName.replaceAll(",", "")},debug-threads=on`,
    "-uuid",
    spec.serverId,
    // Guests tell by the product's name which cloud they are in, and look for its metadata.
    "-smbios",
    keyValues(`type=${product.type}`, { ...product, type: undefined }).replace(",type=undefined", ""),
    "-pidfile",
    directory.pidFile,
    "-msg",
    "timestamp=on",
  ]
}

function confinement(options: MachineOptions): string[] {
  // Giving up root is itself a change of privileges, so it cannot be denied when QEMU has to do it.
  const privileges = options.runAs ? "" : ",elevateprivileges=deny"
  return [
    "-no-user-config",
    "-nodefaults",
    "-sandbox",
    `on,obsolete=deny${privileges},spawn=deny,resourcecontrol=deny`,
    ...(options.runAs ? ["-runas", `${options.runAs.uid}:${options.runAs.gid}`] : []),
  ]
}

function processor(spec: VmSpec, options: MachineOptions): string[] {
  const type = spec.properties.hw_machine_type ?? "pc"
  if (!/^(pc|q35|pc-i440fx-[\w.]+|pc-q35-[\w.]+)$/.test(type)) {
    throw agentPropertyUnsupported("hw_machine_type", type, "pc, q35 or a version of these")
  }
  const hpet = spec.properties.hw_time_hpet === "true" ? "on" : "off"
  const accel =
    options.accelerator === "kvm" ? "kvm" : `tcg,thread=multi,tb-size=${Math.floor(options.tcgCacheMib)}`
  const clock = spec.properties.os_type === "windows" ? "localtime" : "utc"
  const management = wantsSecureBoot(spec, options.firmware) ? ",smm=on" : ""
  const sleepless = isQ35(spec) ? "ICH9-LPC" : "PIIX4_PM"
  return [
    "-machine",
    `${type},hpet=${hpet},dump-guest-core=off${management}`,
    "-accel",
    accel,
    "-cpu",
    processorModel(spec, options),
    "-smp",
    topology(spec),
    ...guestMemory(spec, options.pageKib ?? null),
    "-rtc",
    `base=${clock},driftfix=slew`,
    "-global",
    `${sleepless}.disable_s3=1`,
    "-global",
    `${sleepless}.disable_s4=1`,
    "-boot",
    `strict=on${spec.properties.hw_boot_menu === "true" ? ",menu=on,splash-time=3000" : ""}`,
  ]
}

function processorModel({ properties }: VmSpec, { accelerator }: MachineOptions): string {
  const isKvm = accelerator === "kvm"
  const { hw_pmu: pmu, hw_maxphysaddr_mode: addresses, hw_maxphysaddr_bits: bits } = properties
  const hidden = isKvm ? "kvm=off" : "tcg-cpuid=off"
  return [
    isKvm ? "host" : "max",
    ...(properties.img_hide_hypervisor_id === "true" ? [hidden] : []),
    ...(pmu === undefined ? [] : [`pmu=${pmu === "true" ? "on" : "off"}`]),
    ...(addresses === "passthrough" && isKvm ? ["host-phys-bits=on"] : []),
    ...(addresses === "emulate" && bits !== undefined ? [`phys-bits=${Number(bits)}`] : []),
  ].join(",")
}

function topology(spec: VmSpec): string {
  const wanted = (name: "cores" | "threads" | "sockets") =>
    Number(spec.properties[`hw_cpu_${name}`] ?? spec.properties[`hw:cpu_${name}`])
  if (spec.vcpus > vcpusMax) {
    throw agentPropertyUnsupported("vcpus", String(spec.vcpus), `at most ${vcpusMax}`)
  }
  const cores = wanted("cores") || 1
  const threads = wanted("threads") || 1
  const sockets = wanted("sockets") || spec.vcpus / cores / threads
  // A wish that does not come out even is left aside, as Nova's preferred topology is.
  const isEven = Number.isInteger(sockets) && sockets * cores * threads === spec.vcpus
  const [s, c, t] = isEven ? [sockets, cores, threads] : [spec.vcpus, 1, 1]
  return `cpus=${spec.vcpus},sockets=${s},cores=${c},threads=${t}`
}

function firmware(directory: RunDirectory, spec: VmSpec, options: MachineOptions): string[] {
  const type = spec.properties.hw_firmware_type ?? "bios"
  if (type === "bios") return []
  if (type !== "uefi") throw agentPropertyUnsupported("hw_firmware_type", type, "bios or uefi")
  const files = firmwareOf(spec, options.firmware)
  if (!files) throw agentPropertyUnsupported("hw_firmware_type", type, "install the package ovmf on the host")
  const flash = (unit: number, file: string, isReadOnly: boolean) =>
    keyValues("if=pflash", { unit, format: "raw", file, readonly: isReadOnly })
  return [
    "-drive",
    flash(0, files.code, true),
    "-drive",
    flash(1, directory.firmwareVariables, false),
    // What is signed by whom changes by the firmware's own hand alone.
    ...(wantsSecureBoot(spec, options.firmware)
      ? ["-global", "driver=cfi.pflash01,property=secure,value=on"]
      : []),
  ]
}

function channels(directory: RunDirectory, spec: VmSpec): string[] {
  const socket = (id: string, path: string, more = {}) =>
    keyValues("socket", { id, path, server: true, wait: false, ...more })
  const video = spec.properties.hw_video_model ?? "vga"
  const driver = videoDevices[video]
  if (!driver && video !== "none") {
    throw agentPropertyUnsupported("hw_video_model", video, `none, ${Object.keys(videoDevices).join(", ")}`)
  }
  return [
    "-chardev",
    socket("qmp", directory.qmpSocket),
    "-mon",
    "chardev=qmp,mode=control",
    // The log is appended to, over reboots too; the socket is for someone who wants to type.
    "-chardev",
    socket("serial0", directory.serialSocket, { logfile: directory.serialLog, logappend: true }),
    "-device",
    device({ driver: "isa-serial", id: "serial0-port", chardev: "serial0" }),
    "-display",
    "none",
    "-vnc",
    `unix:${directory.vncSocket.replaceAll(",", ",,")},share=allow-exclusive`,
    ...(driver ? ["-device", device({ driver, id: "video0", ...videoMemory(spec, driver) })] : []),
    ...moreSerialPorts(spec),
  ]
}

/** Beside the console, for guests that count on them; nobody is at their other end. */
function moreSerialPorts({ properties }: VmSpec): string[] {
  const count = Number(properties.hw_serial_port_count ?? "1")
  return Array.from({ length: Math.max(0, count - 1) }, (_, index) => `uart${index + 1}`).flatMap((id) => [
    ...["-chardev", `null,id=${id}`],
    ...["-device", device({ driver: "isa-serial", id: `${id}-port`, chardev: id })],
  ])
}

const videoMemoryNames: Readonly<Record<string, string>> = {
  ...{ VGA: "vgamem_mb", "cirrus-vga": "vgamem_mb", "vmware-svga": "vgamem_mb", "qxl-vga": "vgamem_mb" },
}

/** These want a power of two; the others have no memory of their own. */
function videoMemory({ properties }: VmSpec, driver: string): Record<string, number> {
  const wanted = Number(properties.hw_video_ram ?? "0")
  const name = videoMemoryNames[driver]
  return name && wanted > 0 ? { [name]: 2 ** Math.ceil(Math.log2(wanted)) } : {}
}

function disks(directory: RunDirectory, input: EnsureInput): string[] {
  const { spec } = input
  const places = new DiskPlaces(spec)
  const root = rootVolumeOf(spec)
  const args: string[] = []
  const fronts: string[] = []
  for (const file of diskFiles(directory, input)) {
    if (file.disk.source.kind === "volume")
      args.push(...volumeObjects(file).flatMap((object) => ["-object", JSON.stringify(object)]))
    args.push("-blockdev", JSON.stringify(blockdev(file)))
    if (file.disk === root) fronts.push("-device", device(volumeDevice(file.disk, null)))
    if (file.disk.source.kind === "volume") continue
    const cdromBus = spec.properties.hw_cdrom_bus ?? "ide"
    // A rescue disk says itself where it goes.
    const bus = file.isCdrom && file.disk.name !== "rescue" ? cdromBus : file.disk.bus
    const front = places.place(file.names.device, file.names.node, bus, { isCdrom: file.isCdrom })
    fronts.push("-device", device({ ...front, ...bootOrder(file.disk) }))
  }
  if (spec.configDrive) {
    const file = { driver: "file", filename: directory.configDrive, "read-only": true }
    args.push("-blockdev", JSON.stringify({ driver: "raw", "node-name": "config", "read-only": true, file }))
    // Guests find it by its label, and a guest on virtio has no driver for q35's CD for certain.
    const bus =
      spec.properties.hw_cdrom_bus ?? (spec.disks.every((d) => d.bus === "virtio") ? "virtio" : "ide")
    fronts.push("-device", device(places.place("config-drive", "config", bus, { isCdrom: true })))
  }
  return [...args, ...places.controllers.flatMap((c) => ["-device", device(c)]), ...fronts]
}

/** After everything else, so that no other device of the guest has another place because a volume came or went. */
function volumes({ spec }: EnsureInput): string[] {
  const root = rootVolumeOf(spec)
  const disks = spec.disks.filter((disk) => disk.source.kind === "volume" && disk !== root)
  if (isQ35(spec) && disks.length > q35Ports) throw agentPlaceMissing(spec.serverId)
  return disks.flatMap((disk, port) => ["-device", device(volumeDevice(disk, isQ35(spec) ? port : null))])
}

function interfaces(input: EnsureInput, options: MachineOptions): string[] {
  return input.vifs.flatMap((vif, index) => {
    const { type, ...values } = netdev(vif, index, options.hasTapOffload)
    return ["-netdev", keyValues(type, values), "-device", device(vifDevice(input.spec, vif))]
  })
}

function extras(spec: VmSpec): string[] {
  const { hw_rng_model: random, hw_rng_rate_bytes: bytes, hw_rng_rate_period: period } = spec.properties
  const rate = bytes === undefined ? {} : { "max-bytes": Number(bytes), period: Number(period) }
  const devices: { driver: string; id: string; [key: string]: unknown }[] = [
    ...(random === "none" ? [] : [{ driver: "virtio-rng-pci", id: "rng0-port", rng: "rng0", ...rate }]),
    // Pages that the guest frees go back to the host.
    { driver: "virtio-balloon-pci", id: "balloon0", "free-page-reporting": true },
  ]
  const watchdog = spec.properties.hw_watchdog_action ?? "disabled"
  if (watchdog !== "disabled") devices.push({ driver: "i6300esb", id: "watchdog0" })
  if (!["disabled", "reset", "poweroff", "pause", "none"].includes(watchdog)) {
    throw agentPropertyUnsupported("hw_watchdog_action", watchdog, "disabled, reset, poweroff, pause or none")
  }
  const input = spec.properties.hw_input_bus
  if (input === "virtio") {
    devices.push(
      { driver: "virtio-tablet-pci", id: "tablet0" },
      { driver: "virtio-keyboard-pci", id: "keyboard0" },
    )
  } else if (input === "usb" || spec.properties.hw_pointer_model === "usbtablet") {
    // A disk has brought it already.
    if (!spec.disks.some(({ bus }) => bus === "usb")) devices.push(usbController)
    devices.push({ driver: "usb-tablet", id: "tablet0" })
    if (input === "usb") devices.push({ driver: "usb-kbd", id: "keyboard0" })
  }
  if (isQ35(spec)) {
    for (let port = 0; port < q35Ports; port++) devices.push(q35Port(port))
  }
  return [
    "-object",
    "rng-builtin,id=rng0",
    ...devices.flatMap((d) => ["-device", device(d)]),
    ...(watchdog === "disabled" ? [] : ["-action", `watchdog=${watchdog}`]),
  ]
}

/** After what every machine has: with it or without, the others keep their places. */
function guestAgent(directory: RunDirectory, spec: VmSpec): string[] {
  if (!hasGuestAgent(spec)) return []
  const socket = { id: "agent0", path: directory.agentSocket, server: true, wait: false }
  return [
    "-chardev",
    keyValues("socket", socket),
    "-device",
    device({ driver: "virtio-serial-pci", id: "serial1-port" }),
    "-device",
    device({
      driver: "virtserialport",
      id: "agent0-port",
      bus: "serial1-port.0",
      chardev: "agent0",
      name: "org.qemu.guest_agent.0",
    }),
  ]
}

function directBoot(input: EnsureInput): string[] {
  const { kernel, ramdisk } = input.imageFiles
  if (!input.spec.kernelImage) return []
  if (!kernel) throw new Error("no image file was given for the kernel")
  if (input.spec.ramdiskImage && !ramdisk) throw new Error("no image file was given for the ramdisk")
  const line = input.spec.kernelCommandLine ?? "root=/dev/vda console=tty0 console=ttyS0"
  return ["-kernel", kernel.path, ...(ramdisk ? ["-initrd", ramdisk.path] : []), "-append", line]
}

function device(values: Record<string, unknown>): string {
  return JSON.stringify(values)
}

/** Whether a running QEMU was started with the same line. */
export function digestOf(args: readonly string[]): string {
  return createHash("sha256").update(JSON.stringify(args)).digest("hex").slice(0, 16)
}
