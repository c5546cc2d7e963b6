import assert from "node:assert/strict"
import { test } from "node:test"
import type { PciDevice } from "../../qmp/index.ts"
import { placesOf, restoreLine, savedLine, savedVifIds, savedVolumeIds } from "./saved-line.ts"

const device = (values: object) => ["-device", JSON.stringify(values)]
const pci = (qdev_id: string, slot: number, behind?: PciDevice[]): PciDevice => ({
  qdev_id,
  slot,
  function: 0,
  ...(behind && { pci_bridge: { devices: behind } }),
})
const vif = (portId: string) => ({ driver: "virtio-net-pci", id: `vif-${portId}`, netdev: `net-${portId}` })

const started = [
  ...["-machine", "pc,hpet=off"],
  "-S",
  ...["-netdev", "tap,id=net-a,ifname=tap-a"],
  ...device(vif("a")),
  ...["-netdev", "tap,id=net-b,ifname=tap-b"],
  ...device(vif("b")),
  ...device({ driver: "isa-serial", id: "serial0-port" }),
  ...device({ driver: "virtio-rng-pci", id: "rng0-port" }),
]

const living = {
  args: started,
  // Interface a is gone, c has taken its place, and d is behind a port.
  places: placesOf([{ devices: [pci("", 0), pci("vif-c", 2), pci("vif-b", 3), pci("rng0-port", 31)] }]),
  vifDevices: [vif("b"), vif("c")],
  volumes: [],
  machineType: "pc-i440fx-7.2",
}

test("every device is named with the place that it has now", () => {
  assert.deepEqual(savedLine(living), [
    ...["-machine", "pc-i440fx-7.2,hpet=off"],
    "-S",
    ...device({ driver: "isa-serial", id: "serial0-port" }),
    ...device({ driver: "virtio-rng-pci", id: "rng0-port", addr: "1f.0" }),
    ...device({ ...vif("b"), addr: "3.0" }),
    ...device({ ...vif("c"), addr: "2.0" }),
  ])
})

test("a device behind a bridge names the bridge", () => {
  const buses = [{ devices: [pci("port0", 4, [pci("vif-d", 0)]), pci("port1", 5)] }]
  assert.deepEqual(placesOf(buses).get("vif-d"), { addr: "0.0", bridge: "port0" })
  assert.deepEqual(placesOf(buses).get("port1"), { addr: "5.0", bridge: null })
  const line = savedLine({ ...living, places: placesOf(buses), vifDevices: [vif("d")] })
  assert.deepEqual(line.slice(-2), device({ ...vif("d"), bus: "port0", addr: "0.0" }))
})

test("what was taken up once is saved again as the same", () => {
  const taken = [...restoreLine(savedLine(living), [], false), "-incoming", "fd:3"]
  assert.deepEqual(savedLine({ ...living, args: taken }), savedLine(living))
})

test("the host sides are those of now; an interface that was taken away leads nowhere", () => {
  const saved = savedLine(living)
  assert.deepEqual(savedVifIds(saved), ["b", "c"])
  const line = restoreLine(saved, [{ portId: "c", macAddress: "", mtu: 1400, device: "tap-9" }], false)
  assert.deepEqual(
    line.filter((_, index) => line[index - 1] === "-netdev"),
    ["hubport,id=net-b,hubid=0", "tap,id=net-c,ifname=tap-9,script=no,downscript=no,vhost=off,vnet_hdr=off"],
  )
})

test("volumes are those of now, each where it is; what was taken away is not there", () => {
  const node = (name: string) => ["-blockdev", JSON.stringify({ driver: "raw", "node-name": name })]
  const limits = (id: string) => ({ "qom-type": "throttle-group", id: `limits-${id}`, limits: {} })
  const object = (id: string) => ["-object", JSON.stringify(limits(id))]
  const volume = (id: string) => ({
    objects: id === "c" ? [limits(id)] : [],
    blockdev: { driver: "raw", "node-name": `v-${id}` },
    device: { driver: "virtio-blk-pci", id: `vol-${id}`, drive: `v-${id}` },
  })
  const own = [...node("node0"), "-object", "rng-builtin,id=rng0"]
  const before = [...object("a"), ...node("t-a"), ...node("v-a"), ...node("v-b")]
  const args = [...own, ...before, ...device(volume("a").device)]
  const buses = [{ devices: [pci("port0", 4, [pci("vol-b", 0)]), pci("vol-c", 7)] }]
  const line = savedLine({
    ...living,
    args,
    places: placesOf(buses),
    vifDevices: [],
    volumes: ["b", "c"].map(volume),
  })
  assert.deepEqual(line, [
    ...own,
    ...node("v-b"),
    ...object("c"),
    ...node("v-c"),
    ...device({ ...volume("b").device, bus: "port0", addr: "0.0" }),
    ...device({ ...volume("c").device, addr: "7.0" }),
  ])
  assert.deepEqual(savedVolumeIds(line), ["b", "c"])
  assert.deepEqual(savedVifIds(line), [])
})
