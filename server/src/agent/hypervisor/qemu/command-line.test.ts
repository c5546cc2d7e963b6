import assert from "node:assert/strict"
import { test } from "node:test"
import { newUuid } from "../../../platform/ids/ids.ts"
import { agentPlaceMissing, agentPropertyUnsupported } from "../../faults.ts"
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
})

const volumeDisk = (volumeId: string): DiskSpec => ({
  name: volumeId,
  source: { kind: "volume", volumeId, backend: "file" },
  sizeBytes: 1024,
  bus: "virtio",
  bootIndex: null,
})
const opened = (...volumeIds: string[]): Partial<EnsureInput> => ({
  volumes: Object.fromEntries(
    volumeIds.map((id) => [id, { kind: "file", path: `/volumes/${id}`, format: "raw", isDirect: true }]),
  ),
})

test("volumes go past the page cache, keep flushes, and change no other device's place or name", () => {
  const [a, b] = [newUuid(), newUuid()]
  const root = exampleSpec(serverId).disks
  const disks = [volumeDisk(a), ...root, volumeDisk(b), blank("swap", "virtio")]
  const args = line({ disks }, {}, opened(a, b))
  const node = `v-${a.replaceAll("-", "").slice(0, 29)}`
  const cache = { direct: true, "no-flush": false }
  assert.deepEqual(blockdevs(args)[0], {
    driver: "raw",
    "node-name": node,
    "read-only": false,
    discard: "unmap",
    "detect-zeroes": "off",
    cache,
    file: { driver: "file", filename: `/volumes/${a}`, discard: "unmap", cache },
  })
  assert.ok(node.length <= 31)
  const own = devices(line({ disks: [...root, blank("swap", "virtio")] }))
  assert.deepEqual(devices(args).slice(0, -2), own)
  const [front] = devices(args).slice(-2)
  assert.deepEqual(
    [front?.driver, front?.id, front?.drive, front?.serial],
    ["virtio-blk-pci", `vol-${a}`, node, a.slice(0, 20)],
  )
})

test("on q35 volumes are behind ports, where they can be taken away, and there are so many ports", () => {
  const ids = Array.from({ length: 25 }, () => newUuid())
  const of = (volumeIds: string[]) =>
    line(
      { disks: volumeIds.map(volumeDisk), properties: { hw_machine_type: "q35" } },
      {},
      opened(...volumeIds),
    )
  const places = devices(of(ids.slice(0, 24))).filter((d) => d.driver === "virtio-blk-pci")
  assert.deepEqual(
    places.map((d) => `${d.bus} ${d.addr}`),
    Array.from({ length: 24 }, (_, port) => `port${port} 0`),
  )
  assert.throws(() => of(ids), agentPlaceMissing.is)
  assert.throws(() => line({ disks: [volumeDisk(newUuid())] }), /how to open/)
})

test("a volume with limits is behind what holds the guest to them", () => {
  const volumeId = newUuid()
  const ioLimits = { total_bytes_sec: 1000, total_bytes_sec_max: 2000, total_bytes_sec_max_length: 3 }
  const disk = { ...volumeDisk(volumeId), ioLimits: { ...ioLimits, read_iops_sec: 5, size_iops_sec: 4096 } }
  const args = line({ disks: [disk] }, {}, opened(volumeId))
  const objects = after(args, "-object").filter((value) => value.startsWith("{"))
  const limits = { "bps-total": 1000, "bps-total-max": 2000, "bps-total-max-length": 3 }
  assert.deepEqual(
    objects.map((value) => JSON.parse(value)),
    [
      {
        "qom-type": "throttle-group",
        id: `limits-${volumeId}`,
        limits: { ...limits, "iops-read": 5, "iops-size": 4096 },
      },
    ],
  )
  const [top] = blockdevs(args)
  const front = devices(args).find(({ id }) => id === `vol-${volumeId}`)
  assert.deepEqual([top?.driver, top?.["throttle-group"]], ["throttle", `limits-${volumeId}`])
  assert.equal(front?.drive, top?.["node-name"])
})

test("a volume in the place of a root disk comes before the machine's own, and after a rescue disk", () => {
  const [root, data] = [newUuid(), newUuid()]
  const blank = { kind: "blank" as const, fsLabel: null }
  const own = (name: string, bootIndex: number | null) => ({
    ...{ name, source: blank, sizeBytes: 1024, bus: "virtio", bootIndex },
  })
  for (const machine of ["pc", "q35"]) {
    const places = (disks: DiskSpec[]) => {
      const properties = { hw_machine_type: machine }
      const args = line({ disks, properties }, {}, opened(root, data))
      const fronts = devices(args).filter((d) => d.driver === "virtio-blk-pci")
      return fronts.map(({ id, bootindex, bus }) => `${id} ${bootindex ?? "-"} ${bus ?? "-"}`)
    }
    const boots = (index: number) => ({ ...volumeDisk(root), bootIndex: index })
    const behind = machine === "q35" ? "port0" : "-"
    const expected = [`vol-${root} 1 -`, "disk0 - -", `vol-${data} - ${behind}`]
    assert.deepEqual(places([boots(0), own("ephemeral0", null), volumeDisk(data)]), expected)
    const rescued = places([own("rescue", 0), boots(1), volumeDisk(data)])
    assert.deepEqual(rescued, ["disk0 1 -", `vol-${root} 2 -`, `vol-${data} - ${behind}`])
    // Beside a root disk it is one of those that come and go.
    const second = places([own("root", 0), boots(1)])
    assert.deepEqual(second, ["disk0 1 -", `vol-${root} 2 ${behind}`])
  }
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

test("a guest whose image has an agent gets its channel, and nothing else another place", () => {
  const without = devices(line())
  const args = line({ properties: { hw_qemu_guest_agent: "yes" } })
  assert.deepEqual(
    devices(args).filter(({ id }) => id !== "serial1-port" && id !== "agent0-port"),
    without,
  )
  assert.ok(devices(args).some(({ name }) => name === "org.qemu.guest_agent.0"))
  assert.ok(after(args, "-chardev").some((text) => text.startsWith("socket,id=agent0,path=/var/kumoi,,1/")))
  assert.ok(
    !after(line({ properties: { hw_qemu_guest_agent: "no" } }), "-chardev")
      .join()
      .includes("agent0"),
  )
})

test("a disk on USB brings its controller, once for it and a tablet", () => {
  const disks = [blank("a", "virtio"), blank("b", "usb")]
  const tablet = devices(line({ disks, properties: { hw_pointer_model: "usbtablet" } }))
  assert.equal(tablet.filter(({ driver }) => driver === "qemu-xhci").length, 1)
  const [stick] = tablet.filter(({ driver }) => driver === "usb-storage")
  assert.deepEqual([stick?.bus, stick?.drive], ["usb0.0", "node1"])
  const order = tablet.map(({ driver }) => driver)
  assert.ok(order.indexOf("qemu-xhci") < order.indexOf("usb-storage"))
})

test("any image can be shown as a CD, and an iso as a disk", () => {
  const { disks } = exampleSpec(serverId)
  const [root] = disks
  assert.ok(root && root.source.kind === "image")
  const cd = line({ disks: [{ ...root, isCdrom: true, bus: "ide" }] })
  assert.ok(devices(cd).some(({ driver }) => driver === "ide-cd"))
  assert.deepEqual(
    [blockdevs(cd)[0]?.driver, blockdevs(cd)[0]?.["read-only"], blockdevs(cd)[0]?.backing],
    ["qcow2", true, null],
  )
  const iso = { ...root, source: { ...root.source, diskFormat: "iso" }, isCdrom: false }
  assert.ok(devices(line({ disks: [iso] })).some(({ driver }) => driver === "virtio-blk-pci"))
})
