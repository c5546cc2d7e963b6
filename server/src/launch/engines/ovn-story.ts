// Started by ovn-story.test.ts within a network namespace of its own.
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import {
  floatingAddress,
  forwardingAddress,
  ports,
  routerAddress,
  sampleWant,
  slaacAddress,
} from "../../network/driver/testing/sample-want.ts"
import { tellAll } from "../../network/driver/testing/tell-all.ts"
import { eventually } from "../../platform/clock/clock.ts"
import { exec } from "../../platform/exec/exec.ts"
import { identifyProcess } from "../../platform/exec/process.ts"
import { silentLogger } from "../../platform/log/log.ts"
import { setUpNetworkHost } from "./ovn-host.ts"
import {
  allUp,
  canConnect,
  Guest,
  hostPings,
  metadataNetworks,
  startWorld,
  type World,
} from "./ovn-story-world.ts"

let world: World
let a: Guest
let b: Guest
let closed: Guest
const guests: Guest[] = []
const freePortId = "99999999-0000-4000-8000-000000000099"

async function traces(): Promise<Record<string, string>> {
  const links = await exec("ip", ["-o", "link"])
  const names = links.stdout.matchAll(/^\d+: (\S+?)[:@]/gm)
  return {
    links: [...names].map((match) => match[1]).join(" "),
    // Names of namespaces are the machine's: other clouds may come and go meanwhile.
    netns: (await exec("ip", ["netns"])).stdout
      .split("\n")
      .filter((name) => world !== undefined && name.includes(world.paths.id))
      .join(" "),
    nft: (await exec("nft", ["list", "ruleset"])).stdout,
    forward: (await exec("cat", ["/proc/sys/net/ipv4/ip_forward"])).stdout,
  }
}

function lastRequest(): World["requests"][number] {
  const last = world.requests.at(-1)
  assert.ok(last, "nothing was asked")
  return last
}

let tracesBefore: Record<string, string>

before(async () => {
  tracesBefore = await traces()
  world = await startWorld()
})

after(async () => {
  for (const guest of guests) await guest.end()
  await world?.end()
  assert.deepEqual(await traces(), tracesBefore, "tear-down left something")
})

test("the engine takes the network, and again changes nothing", async () => {
  const first = await tellAll(world.driver, sampleWant)
  assert.ok(first.created > 30)
  assert.deepEqual(await tellAll(world.driver, sampleWant), { created: 0, updated: 0, removed: 0 })
  await world.proxy.reconcile(metadataNetworks)
  for (const port of Object.values(ports)) guests.push(await Guest.start(world, port))
  ;[a, b, closed] = guests as [Guest, Guest, Guest] // one for each port, in their order
  await allUp(world, sampleWant)
})

test("guests get their lease from OVN, also without a security group", async () => {
  const lease = await a.lease()
  assert.match(
    lease,
    /lease=10\.0\.1\.10 mask=24 router=10\.0\.1\.1 dns=192\.0\.2\.53 mtu=1442 domain=example\.org/,
  )
  assert.match(await b.lease(), /lease=10\.0\.2\.10/)
  assert.match(await closed.lease(), /lease=10\.0\.1\.11/)
})

test("the floating IP answers to ping and on the open port alone", async () => {
  a.serve(80)
  a.serve(22)
  await eventually("the floating IP to answer", () => hostPings(floatingAddress))
  assert.ok(await canConnect(floatingAddress, 80), "port 80 is allowed")
  assert.equal(await canConnect(floatingAddress, 22), false, "port 22 is not")
})

test("guests reach the outside through SNAT, and replies come back", async () => {
  assert.ok(await a.pings("172.24.4.1"))
  assert.ok(await b.pings("172.24.4.1"), "a guest without floating IP")
  assert.ok(await b.pings(routerAddress))
  assert.equal(await closed.pings("172.24.4.1"), false, "no group, no traffic")
})

test("a rule for a remote group lets in its members only", async () => {
  b.serve(80)
  await eventually("the page", () => a.fetches("10.0.2.10"))
  assert.equal(await closed.fetches("10.0.2.10"), false)
  assert.equal(await a.pings("10.0.2.10"), false, "the rule is for TCP")
})

test("ports of a floating IP lead to a guest, from outside, from its own network and from another one", async () => {
  const want = structuredClone(sampleWant)
  const [web] = want.securityGroups
  const [forwarding] = want.portForwardings
  assert.ok(web && forwarding)
  // To a guest that has no floating IP of its own, and lets in who is in no group that it names.
  want.floatingIps = []
  forwarding.internalIpAddress = "10.0.1.10"
  for (const port of want.ports) if (port.id === ports.closed.id) port.securityGroupIds = [web.id]
  await tellAll(world.driver, want)
  await eventually("the host to come in", () => canConnect(forwardingAddress, 8080))
  assert.equal(
    await canConnect(forwardingAddress, 8081),
    false,
    "nothing listens there, and no rule lets it in",
  )
  assert.equal(await canConnect(forwardingAddress, 80), false, "that port is not forwarded")
  await eventually("its neighbour", () => closed.fetches(forwardingAddress, 8080))
  assert.ok(await b.fetches(forwardingAddress, 8080), "from another network of the router")
  want.portForwardings = []
  assert.deepEqual(await tellAll(world.driver, want), { created: 0, updated: 0, removed: 1 })
  await eventually("it to be closed", async () => !(await canConnect(forwardingAddress, 8080)))
  await tellAll(world.driver, sampleWant)
  await eventually("the floating IP to answer", () => hostPings(floatingAddress))
})

test("a guest takes its IPv6 address from the router's advertisement", async () => {
  await eventually("the address", async () => {
    const { stdout } = await a.run("ip", ["-6", "-o", "address", "show", "dev", "eth0", "scope", "global"])
    return stdout.includes(slaacAddress) && !stdout.includes("tentative")
  })
  await eventually("the router to answer", async () => {
    const { exitCode } = await a.run("busybox", ["ping", "-6", "-c", "1", "-W", "1", "fd00:1::1"], [0, 1])
    return exitCode === 0
  })
})

test("a machine's tap is made, known, found again and removed", async () => {
  const port = { portId: freePortId, macAddress: "fa:16:3e:00:00:99", mtu: 1442, networkId: a.port.networkId }
  const { device } = await world.plugger.plug(port)
  assert.equal(device, "tap99999999-00")
  assert.deepEqual(await world.plugger.plug(port), { device })
  const show = ["-n", world.paths.netns, "-j", "-d", "link", "show", "dev", device]
  const [link] = JSON.parse((await exec("ip", show)).stdout)
  assert.equal(link.mtu, 1500, "room for a guest that does not know the network's MTU")
  assert.equal(link.linkinfo.info_data.persist, true)
  assert.equal(link.linkinfo.info_data.vnet_hdr, false)
  assert.ok((await world.plugger.list()).includes(port.portId))
  await world.plugger.unplug(port.portId)
  await world.plugger.unplug(port.portId)
  assert.equal((await world.plugger.list()).includes(port.portId), false)
  assert.equal((await exec("ip", show, { okCodes: [0, 1] })).exitCode, 1)
})

test("a second cloud stands beside the first, and its loss and removal do not touch it", async () => {
  await assert.rejects(startWorld("172.24.4.129/25"), /overlaps 172\.24\.4/)
  const second = await startWorld("172.24.5.1/24")
  assert.ok((await tellAll(second.driver, sampleWant)).created > 0)
  const running = second.supervisor.status().map((engine) => engine.pid)
  await second.tearDownAlone()
  for (const pid of running) assert.equal(identifyProcess(pid ?? 0), undefined)
  assert.ok(await hostPings(floatingAddress))
  assert.equal((await traces()).forward, "1\n")
})

test("a host link that somebody removed is made again", async () => {
  await exec("ip", ["link", "delete", world.paths.hostLink])
  assert.equal(await hostPings(floatingAddress), false)
  const { id } = world.paths
  await setUpNetworkHost({ id, publicAddresses: ["172.24.4.1/24"], log: silentLogger })
  await eventually("the floating IP to answer", () => hostPings(floatingAddress))
})

test("names of the network are answered", async () => {
  const { stdout } = await a.run("busybox", ["nslookup", "-type=a", "closed.example.org", "192.0.2.53"])
  assert.match(stdout, /10\.0\.1\.11/)
})

test("metadata is asked with the guest's address and network, whatever the guest claims", async () => {
  for (const guest of [a, b]) {
    const headers = ["X-Forwarded-For: 1.2.3.4", "X-OVN-Network-ID: other", "X-Instance-ID: other"]
    assert.equal(await guest.get("169.254.169.254", "/latest/meta-data/", headers), "ami-id\n")
    const { url, headers: seen } = lastRequest()
    assert.equal(url, "/latest/meta-data/")
    assert.equal(seen["x-forwarded-for"], guest.port.fixedIps[0]?.ipAddress)
    assert.equal(seen["x-ovn-network-id"], guest.port.networkId)
    assert.equal(seen["x-kumoi-network-id"], guest.port.networkId)
    assert.equal(seen["x-instance-id"], undefined)
  }
  assert.equal(await a.get("fe80::a9fe:a9fe%eth0"), "ami-id\n", "over IPv6")
  assert.equal(lastRequest().headers["x-forwarded-for"], "fe80::f816:3eff:fe00:15")
  assert.deepEqual(await world.proxy.reconcile(metadataNetworks), { changed: 0, removed: 0 })
})

test("a change of networks ends no request, and a network taken out is served no more", async () => {
  const held = a.get("169.254.169.254", "/held")
  const request = await eventually("the request", () => world.requests.find(({ url }) => url === "/held"))
  await world.proxy.reconcile(metadataNetworks.slice(0, 1))
  assert.equal(await b.get("169.254.169.254"), "")
  assert.equal(await a.get("169.254.169.254"), "ami-id\n")
  request.answer()
  assert.equal(await held, "ami-id\n")
  await world.proxy.reconcile(metadataNetworks)
  await eventually(
    "the network to be served again",
    async () => (await b.get("169.254.169.254")) === "ami-id\n",
  )
})

for (const name of [
  "ovs-vswitchd",
  "ovn-controller",
  "ovn-northd",
  "ovsdb-nb",
  "ovsdb-sb",
  "ovsdb-ovs",
  "metadata-proxy",
])
  test(`${name} comes back after kill -9 and guests go on`, async () => {
    const pid = world.supervisor.status().find((engine) => engine.name === name)?.pid
    assert.ok(pid)
    process.kill(pid, "SIGKILL")
    await eventually("the supervisor to start it anew", () => {
      const engine = world.supervisor.status().find((each) => each.name === name)
      return engine?.state === "running" && engine.pid !== pid
    })
    await eventually("the floating IP to answer", () => hostPings(floatingAddress))
    await eventually("the outside to answer", () => b.pings("172.24.4.1"))
    assert.match(await a.lease(), /lease=10\.0\.1\.10/)
    await eventually("metadata to answer", async () => (await b.get("169.254.169.254")) === "ami-id\n")
    assert.equal(await canConnect(floatingAddress, 22), false)
  })

test("a change of a rule and of a floating IP takes hold, and what is not wanted goes", async () => {
  const want = structuredClone(sampleWant)
  for (const rule of want.securityGroups[0]?.rules ?? []) if (rule.portRangeMin === 80) rule.portRangeMin = 22
  for (const floatingIp of want.floatingIps) floatingIp.floatingIpAddress = "172.24.4.51"
  const report = await tellAll(world.driver, want)
  assert.deepEqual(report, { created: 0, updated: 2, removed: 0 })
  await eventually("the new address", () => canConnect("172.24.4.51", 22))
  assert.equal(await hostPings(floatingAddress), false)
  want.floatingIps = []
  assert.deepEqual(await tellAll(world.driver, want), { created: 0, updated: 0, removed: 1 })
  await eventually("the address to be gone", async () => !(await hostPings("172.24.4.51")))
})
