// Networks of a data centre, which only some hosts reach, by bridges of theirs: the public one, on which floating IPs
// are where their servers are, and another for provider networks, flat and VLAN.
import assert from "node:assert/strict"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, before, describe, test } from "node:test"
import { eventually, isRoot, sshOptions, TestCloud } from "./cloud.ts"
import { cloudAddress, hostBridges, TestHost } from "./hosts.ts"
import { Session } from "./session.ts"

const publicBridge = "br-public"
const centreBridge = "br-dc"
/** Of a machine in the data centre that is none of the cloud's. */
const outsideAddress = "10.7.0.1"

describe("hosts with bridges to physical networks", {
  skip: isRoot ? false : "real networks need root",
}, () => {
  let dir: string
  let cloud: TestCloud
  let admin: Session
  const hosts: TestHost[] = []
  const ids = new Map<string, string>()
  const floating = new Map<string, string>()

  before(async () => {
    dir = mkdtempSync(join(tmpdir(), "kumoi-acceptance-"))
    const config = join(dir, "kumoi.yaml")
    const network = {
      bridgeMappings: [`public:${publicBridge}`],
      physicalNetworks: ["public", "dc"],
      enableDistributedFloatingIp: true,
    }
    writeFileSync(config, JSON.stringify({ network }))
    const flags = ["--listen", cloudAddress, "--config", config]
    const bridges = {
      ...hostBridges,
      [publicBridge]: "172.24.4.1/24",
      [centreBridge]: `${outsideAddress}/24`,
    }
    const kinds = { hypervisor: "qemu", network: "ovn" } as const
    cloud = await TestCloud.start({ ...kinds, flags, bridges })
    admin = await Session.open(cloud, "admin")
    for (const number of [2, 3]) hosts.push(await TestHost.make(cloud, number))
  })
  after(async () => {
    for (const host of hosts) await host[Symbol.asyncDispose]()
    await cloud?.[Symbol.asyncDispose]()
    rmSync(dir, { recursive: true, force: true })
  })

  const client = (...args: string[]) => cloud.openstack("admin", ...args)
  const idOf = (server: string) => ids.get(server) ?? assert.fail(`${server} was not made`)
  const hostOf = async (server: string) => (await admin.server(idOf(server)))["OS-EXT-SRV-ATTR:host"]
  const create = async (name: string, networks: readonly string[], more: { host?: string } = {}) => {
    ids.set(name, await admin.createServer({ name, networks, key_name: "key", ...more }))
  }
  const ssh = async (server: string, command: string) => {
    const args = ["-i", join(dir, "key"), ...sshOptions]
    const address = floating.get(server) ?? assert.fail(`${server} has no floating IP`)
    return (await cloud.inside("ssh", [...args, `cirros@${address}`, command], { timeoutMs: 30_000 })).stdout
  }

  test("a bridge that the machine has not, or a mapping that is none, is refused", async () => {
    const [second] = hosts
    const wrong = await second?.join("--bridge-mappings", "public=br-public").catch(String)
    assert.match(String(wrong), /"public=br-public" is no mapping; write a physical network and a bridge/)
    const both = await second?.join("--public", "--bridge-mappings", "public:br-public").catch(String)
    assert.match(String(both), /both say how this machine reaches the public network/)
  })

  test("hosts join with their mappings, and the cloud shows them", async () => {
    for (const host of hosts) {
      for (const bridge of [publicBridge, centreBridge]) await host.makeBridge(bridge)
      await host.join("--bridge-mappings", `public:${publicBridge},dc:${centreBridge}`)
    }
    await eventually("their mappings", async () => {
      const { stdout } = await cloud.kumoi("host", "describe", "host3")
      return /physical networks +dc \(br-dc\), public \(br-public\)/.test(stdout)
    })
    const found = await admin.get("/network/v2.0/agents?host=host2&binary=ovn-controller")
    const show = ["network", "agent", "show", found.agents[0].id]
    assert.match(await client(...show, "-f", "json", "-c", "configuration"), /"dc": "br-dc"/)
  })

  test("a server on a provider network comes to a host that reaches it, and to no other", async () => {
    await admin.createKey("key", join(dir, "key"))
    await admin.letIn()
    const at = ["--provider-physical-network", "dc", "--provider-network-type", "flat"]
    await client("network", "create", "plain", ...at)
    const pool = ["--allocation-pool", "start=10.7.0.50,end=10.7.0.99", "--gateway", "none"]
    await client("subnet", "create", "plain", "--network", "plain", "--subnet-range", "10.7.0.0/24", ...pool)
    const vlan = {
      "provider:network_type": "vlan",
      "provider:physical_network": "dc",
      "provider:segmentation_id": 7,
    }
    await admin.createNetwork({ name: "seven", ...vlan }, { cidr: "10.8.0.0/24", gateway_ip: null })
    const { services } = await admin.get("/compute/v2.1/os-services?binary=nova-compute")
    const names: string[] = services.map(({ host }: { host: string }) => host)
    const host = names.find((name) => !/^host\d$/.test(name)) ?? assert.fail("no first host")
    await create("lost", ["plain"], { host })
    await admin.untilStatus(idOf("lost"), "ERROR")
    const explained = await cloud.kumoi("explain", "server", idOf("lost")).catch(String)
    assert.match(String(explained), /does not reach the physical network dc/)
    await admin.deleteServer(idOf("lost"))
    await create("vm2", ["private", "plain", "seven"], { host: "host2" })
    await create("vm3", ["private", "plain", "seven"])
    for (const vm of ["vm2", "vm3"]) await admin.untilStatus(idOf(vm), "ACTIVE")
    assert.match((await hostOf("vm3")) ?? "", /^host[23]$/)
  })

  test("a floating IP is answered by its server's host itself", async () => {
    for (const vm of ["vm2", "vm3"]) {
      const ip = await admin.giveFloatingIp(idOf(vm))
      floating.set(vm, ip)
      assert.equal((await eventually(`ssh to ${vm}`, () => ssh(vm, "hostname"))).trim(), vm)
      const owned = `device_owner=network:floatingip&fixed_ips=ip_address=${ip}`
      const { ports } = await admin.get(`/network/v2.0/ports?${owned}`)
      const mac = ports[0].mac_address
      const { stdout: neighbour } = await cloud.inside("ip", ["neighbour", "show", ip])
      assert.match(neighbour, new RegExp(mac), "the floating IP's own address, not the router's")
      const { stdout: bridge } = await cloud.inside("bridge", ["fdb", "show", "br", publicBridge])
      assert.match(bridge, new RegExp(`${mac} dev ${publicBridge}-${await hostOf(vm)}`))
    }
  })

  test("provider networks reach the data centre's machines and one another's servers", async () => {
    const addresses = async (vm: string) => {
      const text = await ssh(vm, "ip -4 -o addr show")
      const of = (prefix: string) => new RegExp(`inet (${prefix}\\.\\d+)`).exec(text)?.[1]
      const [plain, seven] = [of("10\\.7\\.0"), of("10\\.8\\.0")]
      return plain !== undefined && seven !== undefined && { plain, seven }
    }
    const two = await eventually("the addresses of vm2", () => addresses("vm2"))
    const three = await eventually("the addresses of vm3", () => addresses("vm3"))
    const isAnswered = async (vm: string, address: string) =>
      /2 packets received|2 received/.test(await ssh(vm, `ping -c 2 -W 5 ${address}`))
    await eventually("the machine outside", () => isAnswered("vm2", outsideAddress))
    await eventually("the other server, untagged", () => isAnswered("vm2", three.plain))
    await eventually("the other server, by VLAN", () => isAnswered("vm3", two.seven))
    assert.equal(
      (await cloud.inside("ping", ["-c", "1", "-W", "2", two.plain], { isChecked: false })).exitCode,
      0,
      "and is reached from outside",
    )
  })

  test("nothing is left of a host's links when it leaves", async () => {
    const [second] = hosts
    await admin.deleteServer(idOf("vm2"))
    await second?.kumoi("down", "--purge")
    const { stdout } = (await second?.inside("ip", ["-o", "link"])) ?? { stdout: "" }
    assert.doesNotMatch(stdout, /k[mpqtux]-[0-9a-f]{8}/)
    assert.match(stdout, new RegExp(`${centreBridge}:`), "what is the operator's stays")
  })
})
