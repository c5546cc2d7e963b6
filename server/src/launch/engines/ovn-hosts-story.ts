// Started by ovn-hosts.host.test.ts within a network namespace of its own: one cloud on three hosts.
import assert from "node:assert/strict"
import { X509Certificate } from "node:crypto"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { after, before, test } from "node:test"
import { doorServerName } from "../../agent/door-protocol.ts"
import { enterNetns, netnsDir } from "../../agent/ports/netns.ts"
import type { NetworkWant, WantPort } from "../../network/driver/network-driver.ts"
import { OvnDriver } from "../../network/driver/ovn/ovn-driver.ts"
import {
  floatingAddress,
  ports,
  routerAddress,
  sampleWant,
} from "../../network/driver/testing/sample-want.ts"
import { tellAll } from "../../network/driver/testing/tell-all.ts"
import { eventually } from "../../platform/clock/clock.ts"
import { exec } from "../../platform/exec/exec.ts"
import { identifyProcess } from "../../platform/exec/process.ts"
import {
  asking,
  askSouthbound,
  StoryAuthority,
  StoryHost,
  southboundPort,
  startWire,
  type Wire,
} from "./ovn-hosts-world.ts"
import type { PeerTls } from "./ovn-paths.ts"
import { allUp, Guest } from "./ovn-story-world.ts"

const publicGateway = "172.24.4.1"
const publicAddress = `${publicGateway}/24`
const otherNetworkId = "00000004-0000-4000-8000-000000000004"

/** With a group that lets in pings and the web, on a host. */
function portOn(hostId: string, base: WantPort, n: number, address: string): WantPort {
  return {
    ...base,
    id: `000000${n}-0000-4000-8000-0000000000${n}`,
    name: `p${n}`,
    macAddress: `fa:16:3e:00:00:${n.toString(16)}`,
    fixedIps: [{ subnetId: base.fixedIps[0]?.subnetId ?? "", ipAddress: address }],
    hostId,
    dnsName: null,
    securityGroupIds: ports.a.securityGroupIds,
  }
}

const onOne = { ...ports.a, hostId: "host1", dnsName: null }
const onTwo = portOn("host2", ports.closed, 90, "10.0.1.20")
const onThree = portOn("host3", ports.closed, 91, "10.0.1.30")
const routed = portOn("host3", ports.b, 92, "10.0.2.30")
const ofOther = (port: WantPort): WantPort => ({
  ...port,
  networkId: otherNetworkId,
  fixedIps: port.fixedIps.map((fixed) => ({ ...fixed, subnetId: "00000015-0000-4000-8000-000000000015" })),
})
/** Another tenant's, with the same addresses crosswise. */
const otherOnTwo = ofOther(portOn("host2", ports.closed, 93, "10.0.1.30"))
const otherOnThree = ofOther(portOn("host3", ports.closed, 94, "10.0.1.20"))

function storyWant(): NetworkWant {
  const want = structuredClone(sampleWant)
  const [network, subnet] = [want.networks[0], want.subnets[0]]
  assert.ok(network && subnet)
  want.networks.push({ ...network, id: otherNetworkId, name: "other" })
  want.subnets.push({ ...subnet, id: "00000015-0000-4000-8000-000000000015", networkId: otherNetworkId })
  want.ports = [onOne, onTwo, onThree, routed, otherOnTwo, otherOnThree]
  return want
}

let wire: Wire
let one: StoryHost
let two: StoryHost
let three: StoryHost
let driver: OvnDriver
let authority: StoryAuthority
let stranger: PeerTls
const cleanup = new AsyncDisposableStack()
const guests: Guest[] = []
let [a, b, c, r, x, y]: Guest[] = []

before(async () => {
  wire = await startWire()
  cleanup.defer(async () => await wire.end())
  authority = await StoryAuthority.make(wire.dir, "ca")
  stranger = await (await StoryAuthority.make(wire.dir, "others")).sign("host3")
  one = await addHost(1, { hostId: "host1", isCentral: true, publicAddress })
})

// The last first: the control plane ends after the hosts, which say to it that they leave.
after(async () => await cleanup.disposeAsync())

async function addHost(n: number, settings: Parameters<typeof StoryHost.start>[2]): Promise<StoryHost> {
  const host = await StoryHost.start(wire, n, settings)
  cleanup.defer(async () => await host.end())
  const before = await host.traces()
  cleanup.defer(async () => {
    await host.do("end")
    assert.deepEqual(await host.traces(), before, `${host.settings.hostId} keeps something`)
    assert.equal(existsSync(host.paths.runDir), false)
    assert.equal(existsSync(host.paths.netnsFile), false)
  })
  return host
}

async function endGuests(host: StoryHost): Promise<void> {
  for (const guest of guests.filter((each) => each.port.hostId === host.settings.hostId)) {
    guests.splice(guests.indexOf(guest), 1)
    await guest.end()
  }
}

const sb = (host: StoryHost, args: readonly string[], tls?: PeerTls) => askSouthbound(one, host, args, tls)

const encapOf = async (chassis: string) =>
  await sb(one, ["--columns=type,ip", "find", "Encap", `chassis_name=${chassis}`])

/** In a guest's place: pings as fast as ten a second and tells how many answers were missing. */
async function lostPings(guest: Guest, address: string, meanwhile: () => Promise<void>): Promise<number> {
  const [program = "", ...enter] = enterNetns(join(netnsDir, guest.netns))
  const args = [...enter, "busybox", "ping", "-q", "-i", "0.1", "-c", "100", "-W", "1", address]
  const pinging = exec(program, args, { okCodes: [0, 1], timeoutMs: 60_000 })
  await meanwhile()
  const counts = /(\d+) packets transmitted, (\d+) packets received/.exec((await pinging).stdout)
  return Number(counts?.[1]) - Number(counts?.[2])
}

async function pingsBig(guest: Guest, address: string, bytes: number): Promise<boolean> {
  const args = ["ping", "-c", "1", "-W", "2", "-s", String(bytes), address]
  return (await guest.run("busybox", args, [0, 1])).exitCode === 0
}

test("a cloud of one machine has no tunnel and listens to nobody", async () => {
  await one.do("start")
  driver = cleanup.use(
    new OvnDriver({
      northboundSocket: one.paths.northboundSocket,
      cloudId: one.paths.id,
      gateways: [{ chassis: "host1", priority: 1 }],
    }),
  )
  await eventually("the chassis", async () => (await encapOf("host1")).includes("127.0.0.1"))
  assert.doesNotMatch((await one.run("ss", ["-Hltn"])).stdout, /:6642/)
  assert.deepEqual((await one.run("ip", ["link", "show", one.paths.tunnelLink], [0, 1])).exitCode, 1)
})

test("it is opened to other hosts and nothing is started anew", async (t) => {
  const running = await one.engines()
  one.settings.address = one.address
  await one.do("change")
  await eventually("the address of its tunnels", async () => (await encapOf("host1")).includes(one.address))
  one.settings.southbound = {
    address: one.address,
    port: southboundPort,
    tls: await authority.sign(doorServerName),
  }
  const began = performance.now()
  await one.do("open")
  t.diagnostic(`opened in ${Math.round(performance.now() - began)} ms`)
  await one.do("open")
  const outside = (await one.listeners()).filter(
    (each) => !/^(127\.0\.0\.1:\d+|10\.77\.0\.1:6642)$/.test(each),
  )
  assert.deepEqual(outside, [], "the database listens where the door relays to it, and nowhere else")
  assert.deepEqual(
    (await one.engines()).map(({ name, pid }) => [name, pid]),
    running.map(({ name, pid }) => [name, pid]),
  )
})

test("hosts join over TLS", async (t) => {
  const southbound = async (hostId: string) => ({
    address: one.address,
    port: southboundPort,
    tls: await authority.sign(hostId),
  })
  two = await addHost(2, {
    hostId: "host2",
    isCentral: false,
    publicAddress,
    southbound: await southbound("host2"),
  })
  three = await addHost(3, {
    hostId: "host3",
    isCentral: false,
    publicAddress: null,
    southbound: await southbound("host3"),
  })
  cleanup.defer(async () => {
    for (const host of [one, two, three]) await endGuests(host)
  })
  for (const host of [two, three]) {
    host.settings.address = host.address
    const began = performance.now()
    await host.do("start")
    t.diagnostic(`${host.settings.hostId} joined in ${Math.round(performance.now() - began)} ms`)
  }
  for (const host of [one, two, three])
    await eventually("the chassis", async () => (await encapOf(host.settings.hostId)).includes(host.address))
})

test("a stranger is refused, and so is one without a certificate", async () => {
  const own = three.settings.southbound?.tls
  assert.ok(own)
  assert.match(await sb(three, ["--columns=name", "list", "Chassis"], own), /host1/)
  const other = { ...stranger, caFile: own.caFile }
  assert.match(await sb(three, ["--columns=name", "list", "Chassis"], other), /connection failed/)
  const where = `${one.address}:${southboundPort}`
  const bare = await three.run("openssl", ["s_client", "-quiet", "-connect", where], [0, 1])
  assert.match(bare.stderr, /alert/)
  const plain = ["--db", `tcp:${where}`, "--timeout=5", "list", "Chassis"]
  assert.match((await three.run("ovn-sbctl", plain, [0, 1])).stderr, /connection failed/)
})

test("a renewed certificate is taken without a restart", async () => {
  const where = `${one.address}:${southboundPort}`
  const shown = async () => {
    const { stdout } = await three.run("openssl", ["s_client", "-connect", where], [0, 1])
    const [pem = ""] = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/.exec(stdout) ?? []
    return new X509Certificate(pem).fingerprint256
  }
  const before = await shown()
  // It looks at the files whenever it has something to do, in the middle of their change as well.
  const look = () => sb(one, ["--columns=name", "list", "Chassis"])
  const { certFile } = await asking(look, authority.sign(doorServerName))
  await eventually("the new certificate", async () => {
    const now = await shown()
    return now !== before && now === new X509Certificate(readFileSync(certFile)).fingerprint256
  })
})

test("guests on every host have their lease, and their ports are up by what their hosts say", async () => {
  const want = storyWant()
  await driver.setGateways([
    { chassis: "host2", priority: 2 },
    { chassis: "host1", priority: 1 },
  ])
  await tellAll(driver, want)
  for (const [host, port] of [
    [one, onOne],
    [two, onTwo],
    [three, onThree],
    [three, routed],
    [two, otherOnTwo],
    [three, otherOnThree],
  ] as const)
    guests.push(await Guest.start(host, port))
  ;[a, b, c, r, x, y] = guests
  await allUp({ driver }, want)
  for (const guest of guests)
    assert.match(await guest.lease(), new RegExp(`lease=${guest.port.fixedIps[0]?.ipAddress} .* mtu=1442`))
})

test("guests of one network reach each other on any hosts, with small packets and large", async () => {
  assert.ok(a && b && c && r)
  for (const [from, to] of [
    [a, "10.0.1.20"],
    [a, "10.0.1.30"],
    [b, "10.0.1.30"],
    [c, "10.0.1.10"],
    [a, "10.0.2.30"],
    [r, "10.0.1.20"],
  ] as const) {
    await eventually(`${from.port.name} to reach ${to}`, () => from.pings(to))
    for (const bytes of [1_400, 1_414, 4_000])
      assert.ok(await pingsBig(from, to, bytes), `${bytes} bytes from ${from.port.name} to ${to}`)
  }
  c.serve(80)
  await eventually("a page across hosts", () => a?.fetches("10.0.1.30") ?? false)
})

test("the same addresses in another tenant's network are others", async () => {
  assert.ok(a && x && y)
  await eventually("the neighbour on another host", () => x?.pings("10.0.1.20") ?? false)
  const neighbour = async (guest: Guest, address: string) =>
    (await guest.run("ip", ["neighbour", "show", address])).stdout
  assert.match(await neighbour(x, "10.0.1.20"), new RegExp(otherOnThree.macAddress))
  assert.match(await neighbour(a, "10.0.1.20"), new RegExp(onTwo.macAddress))
  assert.equal(await x.pings("10.0.1.10"), false, "nobody has it in this network")
  assert.equal(await x.fetches("10.0.1.30"), false)
})

test("no guest reaches where the tunnels end", async () => {
  assert.ok(a)
  const { stdout } = await exec("ip", ["-n", one.paths.netns, "-o", "-4", "address", "show", "br-phy"])
  const inner = /inet ([\d.]+)\//.exec(stdout)?.[1] ?? ""
  assert.match(inner, /^169\.254\./)
  await a.run("ip", ["address", "add", "169.254.0.9/16", "dev", "eth0"])
  const asked = await a.run("busybox", ["arping", "-c", "2", "-w", "2", "-I", "eth0", inner], [0, 1])
  assert.match(asked.stdout, /Received 0 response/)
  await a.run("ip", ["address", "delete", "169.254.0.9/16", "dev", "eth0"])
})

test("the outside is reached by the gateway's host, and reaches a floating IP there", async () => {
  assert.ok(a && b && c && r)
  for (const guest of [a, b, c, r])
    await eventually(`the outside for ${guest.port.name}`, () => guest.pings(publicGateway))
  await eventually("the floating IP", () => two.pings(floatingAddress))
  assert.equal(await one.pings(floatingAddress), false, "the gateway is on one host")
  assert.ok(await two.pings(routerAddress))
})

test("another gateway takes over when the host is lost, and gives back when it returns", async (t) => {
  assert.ok(c)
  const began = performance.now()
  await two.cable("down")
  await eventually("the other gateway", () => c?.pings(publicGateway) ?? false)
  t.diagnostic(`the other gateway took over in ${Math.round(performance.now() - began)} ms`)
  await eventually("the floating IP on the other host", () => one.pings(floatingAddress))
  await two.cable("up")
  await eventually("the better gateway again", () => two.pings(floatingAddress))
  await eventually("the outside", () => c?.pings(publicGateway) ?? false)
})

test("gateways that are told anew move", async () => {
  assert.ok(c)
  await driver.setGateways([{ chassis: "host1", priority: 1 }])
  await eventually("the floating IP on the first host", () => one.pings(floatingAddress))
  await driver.setGateways([
    { chassis: "host2", priority: 2 },
    { chassis: "host1", priority: 1 },
  ])
  await eventually("the floating IP on the second host", () => two.pings(floatingAddress))
})

async function killed(host: StoryHost, engine: string): Promise<void> {
  const pid = await host.pidOf(engine)
  process.kill(pid, "SIGKILL")
  await eventually(`${engine} to be back`, async () => {
    const now = (await host.engines()).find((each) => each.name === engine)
    return now?.state === "running" && now.pid !== pid
  })
}

for (const [engine, most] of [
  ["ovn-controller", 10],
  ["ovs-vswitchd", 60],
] as const)
  test(`traffic after kill -9 of ${engine} on a host`, async (t) => {
    assert.ok(a && c)
    await eventually("a neighbour", () => a?.pings("10.0.1.30") ?? false)
    const lost = await lostPings(a, "10.0.1.30", async () => await killed(three, engine))
    t.diagnostic(`${engine}: ${lost} of 100 pings in 10 s lost`)
    assert.ok(lost <= most, `${lost} lost`)
    await eventually("a neighbour", () => a?.pings("10.0.1.30") ?? false)
    await eventually("the outside", () => c?.pings(publicGateway) ?? false)
    assert.match(await c.lease(), /lease=10\.0\.1\.30/)
  })

test("traffic goes on without the control plane's databases, and hosts come back to them", async () => {
  assert.ok(a && c)
  const lost = await lostPings(a, "10.0.1.30", async () => await killed(one, "ovsdb-sb"))
  assert.equal(lost, 0)
  for (const host of [two, three]) await eventually("the host to be connected", () => host.hearsDatabase())
})

test("a host that is cut off from the database goes on, and is back when it may", async (t) => {
  assert.ok(a)
  const lost = await lostPings(a, "10.0.1.30", async () => void (await one.do("cutOff")))
  assert.equal(lost, 0)
  const began = performance.now()
  for (const host of [two, three]) await eventually("the host to be connected", () => host.hearsDatabase())
  t.diagnostic(`connected ${Math.round(performance.now() - began)} ms after the pings`)
})

test("a host whose program starts again keeps its engines, its tunnels and who listens", async () => {
  assert.ok(a)
  for (const host of [one, three]) {
    const pids = async () => (await host.engines()).map(({ name, pid }) => [name, pid])
    const before = await pids()
    const lost = await lostPings(a, "10.0.1.30", async () => void (await host.do("startAgain")))
    assert.equal(lost, 0)
    assert.deepEqual(await pids(), before)
  }
  await eventually("the host to be connected", () => three.hearsDatabase())
})

test("what cannot be is refused", async () => {
  const { settings } = one
  const other = { ...settings, id: "0badcafe", publicAddress: null }
  Object.assign(one.settings, other)
  try {
    await assert.rejects(one.do("setUp"), /UDP port 6081 of 10\.77\.0\.1 is in use .* another cloud/)
    one.settings.address = "10.77.0.99"
    await assert.rejects(one.do("setUp"), /10\.77\.0\.99 is no IPv4 address of this machine/)
  } finally {
    Object.assign(one.settings, { id: one.paths.id, publicAddress, address: one.address })
  }
  await three.run("ip", ["link", "set", "eth0", "mtu", "1400"])
  await assert.rejects(three.do("setUp"), /packets of 1400 bytes: tunnels over it carry 1342/)
  await three.run("ip", ["link", "set", "eth0", "mtu", "1500"])
  await three.do("occupy", "6081")
  await assert.rejects(three.do("setUp"), /UDP port 6081 .* another program/)
})

test("hosts change to VXLAN and go on", async () => {
  assert.ok(a && b)
  for (const host of [one, two]) {
    host.settings.type = "vxlan"
    await host.do("change")
  }
  await eventually("the neighbour", () => a?.pings("10.0.1.20") ?? false)
  assert.ok(await pingsBig(a, "10.0.1.20", 1_400))
  assert.match(await encapOf("host2"), /vxlan/)
})

test("a host is gone at once, by its id alone, and forgotten", async () => {
  await endGuests(three)
  const running = (await three.engines()).map((engine) => engine.pid ?? 0)
  await three.do("tearDownAlone")
  for (const pid of running) assert.equal(identifyProcess(pid), undefined)
  assert.match(await encapOf("host3"), /10\.77\.0\.3/, "it could not say so")
  await one.do("forget", "host3")
  assert.equal(await encapOf("host3"), "")
})

test("a closed database cuts the hosts off, and guests go on", async () => {
  assert.ok(a)
  await one.do("close")
  await eventually("the host to be cut off", async () => !(await two.hearsDatabase()))
  assert.deepEqual(
    (await one.listeners()).filter((each) => !each.endsWith(":6642")),
    [],
  )
  assert.ok(await a.pings("10.0.1.20"))
})

test("the kernel's own tunnels go the same way", async () => {
  const kernels = []
  for (const n of [4, 5]) {
    const host = await addHost(n, { hostId: `host${n}`, isCentral: false, publicAddress: null })
    Object.assign(host.settings, { address: host.address, type: "vxlan", datapathType: "system" })
    await host.do("setUp")
    kernels.push(host)
  }
  const [four, five] = kernels
  assert.ok(four && five)
  for (const [host, other, n] of [
    [four, five, 4],
    [five, four, 5],
  ] as const) {
    const tunnel = ["type", "vxlan", "id", "7", "remote", other.address, "dstport", "4789", "udpcsum"]
    const inside = ["-n", host.paths.netns]
    await exec("ip", [...inside, "link", "add", "vx", ...tunnel])
    await exec("ip", [...inside, "address", "add", `10.0.9.${n}/24`, "dev", "vx"])
    await exec("ip", [...inside, "link", "set", "vx", "mtu", "1450", "up"])
    // A switch takes what comes out of the tunnel before the kernel's stack, which is what answers here.
    const [program = "", ...enter] = enterNetns(host.paths.netnsFile)
    for (const family of ["inet", "arp"]) {
      const rule = ["insert", "rule", family, "kumoi_tunnel", "incoming", "iifname", "vx", "accept"]
      await exec(program, [...enter, "nft", ...rule])
    }
  }
  const [program = "", ...enter] = enterNetns(four.paths.netnsFile)
  const pinging = [...enter, "busybox", "ping", "-c", "1", "-W", "2", "-s", "1422", "10.0.9.5"]
  await eventually("the kernel's tunnel", async () => {
    return (await exec(program, pinging, { okCodes: [0, 1] })).exitCode === 0
  })
})
