import assert from "node:assert/strict"
import { test } from "node:test"
import { newUuid } from "../../../platform/ids/ids.ts"
import { agentPropertyUnsupported } from "../../faults.ts"
import type { DiskSpec, VmSpec } from "../../protocol.ts"
import { exampleSpec } from "../../testing/example-spec.ts"
import type { EnsureInput } from "../hypervisor.ts"
import { commandLine, type MachineOptions } from "./command-line.ts"
import { runDirectory } from "./run-directory.ts"

const serverId = newUuid()
const directory = runDirectory("/var/kumoi,1/vms", serverId)
const options: MachineOptions = {
  accelerator: "tcg",
  runAs: null,
  tcgCacheMib: 128,
  hasTapOffload: false,
  firmware: null,
}

function line(
  change: Partial<VmSpec> & { properties?: Record<string, string> } = {},
  more: Partial<MachineOptions> = {},
  input: Partial<EnsureInput> = {},
): string[] {
  const spec = { ...exampleSpec(serverId), ...change }
  const image = { path: "/images/base.qcow2", format: "qcow2" as const, virtualSizeBytes: 1 }
  return commandLine(
    directory,
    { spec, power: "running", vifs: [], imageFiles: { root: image }, ...input },
    { ...options, ...more },
  )
}

const after = (args: string[], option: string) =>
  args.flatMap((arg, index) => (arg === option ? [args[index + 1] ?? ""] : []))
const devices = (args: string[]): Record<string, unknown>[] =>
  after(args, "-device").map((text) => JSON.parse(text))
const blockdevs = (args: string[]): Record<string, unknown>[] =>
  after(args, "-blockdev").map((text) => JSON.parse(text))

function blank(name: string, bus: string): DiskSpec {
  return { name, source: { kind: "blank", fsLabel: null }, sizeBytes: 1024, bus, bootIndex: null }
}

test("every format is named, the base cannot be written, and nothing of QEMU's defaults is there", () => {
  const args = line()
  assert.deepEqual(blockdevs(args)[0], {
    driver: "qcow2",
    "node-name": "node0",
    "read-only": false,
    discard: "unmap",
    "detect-zeroes": "off",
    file: { driver: "file", filename: `${directory.disks}/root.qcow2`, discard: "unmap" },
    backing: {
      driver: "qcow2",
      "read-only": true,
      file: { driver: "file", filename: "/images/base.qcow2", "read-only": true },
      backing: null,
    },
  })
  assert.ok(args.includes("-nodefaults") && args.includes("-no-user-config") && args.includes("-S"))
})

test("a comma in a path is no separator", () => {
  const chardevs = after(line(), "-chardev")
  assert.match(chardevs.join(" "), /path=\/var\/kumoi,,1\/vms\//)
})

test("QEMU is confined, and gives up root where it is told to", () => {
  assert.deepEqual(after(line(), "-sandbox"), [
    "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
  ])
  const dropped = line({}, { runAs: { uid: 64055, gid: 64056 } })
  assert.deepEqual(after(dropped, "-runas"), ["64055:64056"])
  assert.doesNotMatch(after(dropped, "-sandbox").join(), /elevateprivileges/)
})

test("accelerator, memory and topology", () => {
  assert.deepEqual(after(line(), "-accel"), ["tcg,thread=multi,tb-size=128"])
  assert.deepEqual(after(line({}, { accelerator: "kvm" }), "-cpu"), ["host"])
  assert.deepEqual(after(line({ ramMib: 512 }), "-m"), ["size=512M"])
  const smp = (vcpus: number, properties = {}) => after(line({ vcpus, properties }), "-smp")[0]
  assert.equal(smp(4), "cpus=4,sockets=4,cores=1,threads=1")
  assert.equal(smp(4, { hw_cpu_cores: "2" }), "cpus=4,sockets=2,cores=2,threads=1")
  assert.equal(smp(4, { "hw:cpu_sockets": "1", "hw:cpu_cores": "4" }), "cpus=4,sockets=1,cores=4,threads=1")
  assert.equal(smp(4, { hw_cpu_cores: "3" }), "cpus=4,sockets=4,cores=1,threads=1")
})

test("disks take places on the bus they name, on pc and on q35", () => {
  const disks = ["a", "b", "c"].map((name) => blank(name, "ide"))
  assert.deepEqual(
    devices(line({ disks })).flatMap((d) => (d.driver === "ide-hd" ? [[d.bus, d.unit]] : [])),
    [
      ["ide.0", 0],
      ["ide.0", 1],
      ["ide.1", 0],
    ],
  )
  const q35 = line({ disks, properties: { hw_machine_type: "q35" } })
  assert.deepEqual(
    devices(q35).flatMap((d) => (d.driver === "ide-hd" ? [d.bus] : [])),
    ["ide.0", "ide.1", "ide.2"],
  )
  const scsi = devices(line({ disks: [blank("a", "scsi"), blank("b", "scsi")] }))
  assert.equal(scsi.filter((d) => d.driver === "virtio-scsi-pci").length, 1)
  assert.deepEqual(
    scsi.flatMap((d) => (d.driver === "scsi-hd" ? [d["scsi-id"]] : [])),
    [0, 1],
  )
  const volume = newUuid()
  const attached = devices(line({ disks: [blank(volume, "virtio")] }))
  assert.equal(attached.find((d) => d.id === "disk0")?.serial, volume.slice(0, 20))
})

test("an iso boots as a read-only CD without an overlay", () => {
  const source = { kind: "image", imageId: "i", checksum: "0", diskFormat: "iso" } as const
  const disks: DiskSpec[] = [{ name: "root", source, sizeBytes: 0, bus: "virtio", bootIndex: 0 }]
  const args = line({ disks })
  assert.equal(blockdevs(args)[0]?.["read-only"], true)
  assert.equal(devices(args).find((d) => d.id === "disk0")?.driver, "ide-cd")
})

test("interfaces: a tap without virtio header, or a hub that leads nowhere", () => {
  const vif = { portId: "p1", macAddress: "fa:16:3e:00:00:01", mtu: 1442 }
  const taps = line({}, {}, { vifs: [{ ...vif, device: "tap0" }] })
  assert.deepEqual(after(taps, "-netdev"), [
    "tap,id=net-p1,ifname=tap0,script=no,downscript=no,vhost=off,vnet_hdr=off",
  ])
  const nic = devices(taps).find((d) => d.id === "vif-p1")
  assert.deepEqual([nic?.driver, nic?.mac, nic?.host_mtu], ["virtio-net-pci", vif.macAddress, 1442])
  const hubs = line({ properties: { hw_vif_model: "e1000" } }, {}, { vifs: [{ ...vif, device: null }] })
  assert.deepEqual(after(hubs, "-netdev"), ["hubport,id=net-p1,hubid=0"])
  assert.equal(devices(hubs).find((d) => d.id === "vif-p1")?.driver, "e1000")
})

test("a property that this host cannot do is refused with what would be right", () => {
  const wrong: Record<string, string>[] = [
    { hw_machine_type: "virt,accel=x" },
    { hw_vif_model: "ne1" },
    { hw_video_model: "crt" },
    { hw_firmware_type: "uefi" },
    { hw_firmware_type: "coreboot" },
    { hw_watchdog_action: "bark" },
  ]
  const vifs = [{ portId: "p1", macAddress: "fa:16:3e:00:00:01", mtu: 1442, device: null }]
  for (const properties of wrong) {
    assert.throws(
      () => line({ properties }, {}, { vifs }),
      agentPropertyUnsupported.is,
      JSON.stringify(properties),
    )
  }
  assert.throws(() => line({ disks: [blank("a", "floppy")] }), agentPropertyUnsupported.is)
  assert.throws(() => line({ disks: ["a", "b", "c", "d", "e"].map((n) => blank(n, "ide")) }))
  const firmware = { code: "/code.fd", variables: "/vars.fd" }
  const uefi = line({ properties: { hw_firmware_type: "uefi" } }, { firmware })
  assert.match(after(uefi, "-drive").join(" "), /file=\/code.fd,readonly=on .*firmware-variables.fd/)
})
