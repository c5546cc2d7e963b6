// Started by ovn-story.test.ts within a network namespace of its own: traffic that needs more than a row each way.
import assert from "node:assert/strict"
import { createSocket } from "node:dgram"
import { after, before, test } from "node:test"
import type { NetworkWant, WantPort } from "../../network/driver/network-driver.ts"
import { floatingAddress, ports, sampleWant } from "../../network/driver/testing/sample-want.ts"
import { tellAll } from "../../network/driver/testing/tell-all.ts"
import { eventually } from "../../platform/clock/clock.ts"
import { exec } from "../../platform/exec/exec.ts"
import { allUp, Guest, hostPings, metadataNetworks, startWorld, type World } from "./ovn-story-world.ts"

let world: World
let a: Guest
let closed: Guest
const vipAddress = "10.0.1.100"
const vipFloatingAddress = "172.24.4.60"
const udpPort = 5099

const vip: WantPort = {
  ...ports.closed,
  id: "00000024-0000-4000-8000-000000000024",
  name: "vip",
  macAddress: "fa:16:3e:00:00:18",
  fixedIps: [{ subnetId: ports.closed.fixedIps[0]?.subnetId ?? "", ipAddress: vipAddress }],
  hostId: null,
  dnsName: null,
  securityGroupIds: ports.a.securityGroupIds,
  virtual: { ipAddress: vipAddress, parentIds: [ports.a.id, ports.closed.id] },
}

/** Two machines may hold the address of a port that is none's; a floating IP points at it. A rule opens a UDP port. */
function trafficWant(): NetworkWant {
  const want = structuredClone(sampleWant)
  const [group] = want.securityGroups
  const [rule] = group?.rules ?? []
  const [floatingIp] = want.floatingIps
  assert.ok(group && rule && floatingIp)
  const id = (n: number) => `000000${n}-0000-4000-8000-0000000000${n}`
  const udp = { ...rule, id: id(87), protocol: "udp", portRangeMin: udpPort, portRangeMax: udpPort }
  group.rules = group.rules.filter((each) => each.protocol !== "icmp")
  group.rules.push(udp, { ...rule, id: id(88), protocol: "icmp", portRangeMin: 8, portRangeMax: 0 })
  for (const port of want.ports) {
    if (port.id !== ports.a.id && port.id !== ports.closed.id) continue
    port.securityGroupIds = ports.a.securityGroupIds
    port.allowedAddressPairs = [{ ipAddress: vipAddress, macAddress: port.macAddress }]
  }
  want.ports.push(vip)
  want.floatingIps.push({
    ...floatingIp,
    id: id(74),
    floatingIpAddress: vipFloatingAddress,
    fixedIpAddress: vipAddress,
    portId: vip.id,
    macAddress: "fa:16:3e:00:02:02",
  })
  return want
}

before(async () => {
  world = await startWorld()
  const want = trafficWant()
  await tellAll(world.driver, want)
  a = await Guest.start(world, ports.a)
  closed = await Guest.start(world, ports.closed)
  await allUp(world, {
    ...want,
    ports: want.ports.filter(({ id }) => id === ports.a.id || id === ports.closed.id),
  })
  for (const guest of [a, closed]) {
    await guest.lease()
    // A machine's interface takes frames that are larger than what its lease lets it send; a veth does not.
    await guest.run("ip", ["link", "set", "eth0", "mtu", "1500"])
  }
})

after(async () => {
  await a?.end()
  await closed?.end()
  await world?.end()
})

/** Datagrams that came to the guest, whether somebody listened or not. */
async function received(guest: Guest): Promise<number> {
  const { stdout } = await guest.run("grep", ["^Udp:", "/proc/net/snmp"])
  const [, datagrams = "0", unheard = "0"] = stdout.trim().split("\n").at(-1)?.split(" ") ?? []
  return Number(datagrams) + Number(unheard)
}

async function sendDatagram(address: string, bytes: number): Promise<void> {
  const socket = createSocket("udp4")
  try {
    await new Promise<void>((resolve, reject) =>
      socket.send(Buffer.alloc(bytes), udpPort, address, (error) => (error ? reject(error) : resolve())),
    )
  } finally {
    socket.close()
  }
}

test("a datagram larger than the MTU passes a rule that names its port, and a large ping one that names its type", async () => {
  await eventually("the floating IP to answer", () => hostPings(floatingAddress))
  for (const bytes of [100, 1_400, 4_000]) {
    const before = await received(a)
    await sendDatagram(floatingAddress, bytes)
    await eventually(`${bytes} bytes to come`, async () => (await received(a)) === before + 1, {
      timeoutMs: 10_000,
    })
  }
  const large = ["ping", "-c", "1", "-W", "2", "-s", "4000"]
  const answer = async () =>
    (await exec("busybox", [...large, floatingAddress], { okCodes: [0, 1, 2] })).exitCode === 0
  await eventually("a large ping from the outside", answer)
  const inside = await closed.run("busybox", [...large, "10.0.1.10"], [0, 1])
  assert.equal(inside.exitCode, 0, "a large ping from a neighbour")
})

test("a machine without an IPv6 address of its own asks for metadata over IPv6", async () => {
  await world.proxy.reconcile(metadataNetworks)
  await eventually("metadata", async () => (await closed.get("fe80::a9fe:a9fe%eth0")) === "ami-id\n")
  assert.equal(world.requests.at(-1)?.headers["x-forwarded-for"], "fe80::f816:3eff:fe00:17")
})

test("an address of a port that is no machine's belongs to the machine that says so, also behind a floating IP", async () => {
  assert.equal(await hostPings(vipFloatingAddress), false)
  const take = async (guest: Guest) => {
    await guest.run("ip", ["address", "add", `${vipAddress}/32`, "dev", "eth0"])
    await guest.run(
      "busybox",
      ["arping", "-U", "-c", "2", "-I", "eth0", "-s", vipAddress, vipAddress],
      [0, 1],
    )
  }
  await take(a)
  await eventually("its floating IP to answer", () => hostPings(vipFloatingAddress))
  await eventually("a neighbour to reach it", () => closed.pings(vipAddress))
  await a.run("ip", ["address", "delete", `${vipAddress}/32`, "dev", "eth0"])
  assert.equal(await hostPings(vipFloatingAddress), false)
  await take(closed)
  await eventually("the other machine to answer", () => hostPings(vipFloatingAddress))
  await eventually("the first one to reach it", () => a.pings(vipAddress))
})
