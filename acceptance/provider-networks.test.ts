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
    configure({ enableDistributedFloatingIp: true })
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

  function configure(more: { enableDistributedFloatingIp: boolean }): void {
    const network = {
      bridgeMappings: [`public:${publicBridge}`],
      physicalNetworks: ["public", "dc"],
      ...more,
    }
    writeFileSync(join(dir, "kumoi.yaml"), JSON.stringify({ network }))
  }

  const client = (...args: string[]) => cloud.openstack("admin", ...args)
  const idOf = (server: string) => ids.get(server) ?? assert.fail(`${server} was not made`)
  const hostOf = async (server: string) => (await admin.server(idOf(server)))["OS-EXT-SRV-ATTR:host"]
  const create = async (name: string, networks: readonly string[], more: { host?: string } = {}) => {
    ids.set(name, await admin.createServer({ name, networks, key_name: "key", ...more }))
  }
  const ssh = async (server: string, command: string) => {
    const args = ["-i", join(dir, "key"), ...sshOptions]
    const address = floating.get(server) ?? assert.fail(`${server} has no floating IP`)
    return (await cloud.inside("ssh", [...args, `cirros@${address}`, command])).stdout
  }

  test("a bridge that the machine has not, or a mapping that is none, is refused", async () => {
    const [second] = hosts
    const wrong = await second?.join("--bridge-mappings", "public=br-public").catch(String)
    assert.match(String(wrong), /"public=br-public" is no mapping; write a physical network and a bridge/)
    const both = await second?.join("--public", "--bridge-mappings", "public:br-public").catch(String)
    assert.match(String(both), /both say how this machine reaches the public network/)
  })

  const mappingsOf = async (host: string) =>
    /physical networks +(.*)/.exec((await cloud.kumoi("host", "describe", host)).stdout)?.[1]
  const third = () => hosts[1] ?? assert.fail("no third host")

  test("hosts join with their mappings, and the cloud shows them", async () => {
    for (const host of hosts) {
      for (const bridge of [publicBridge, centreBridge]) await host.makeBridge(bridge)
      const more = host === third() ? "" : `,dc:${centreBridge}`
      await host.join("--bridge-mappings", `public:${publicBridge}${more}`)
    }
    const both = "dc (br-dc), public (br-public)"
    await eventually("their mappings", async () => (await mappingsOf("host2")) === both)
    await eventually("those of the third", async () => (await mappingsOf("host3")) === "public (br-public)")
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
    const first = names.find((name) => !/^host\d$/.test(name)) ?? assert.fail("no first host")
    for (const host of [first, "host3"]) {
      const name = `lost-${host}`
      await create(name, ["plain"], { host })
      await admin.untilStatus(idOf(name), "ERROR").catch(() => {})
      const explained = await cloud.kumoi("explain", "server", idOf(name)).catch(String)
      assert.match(String(explained), /does not reach the physical network dc/)
      await admin.deleteServer(idOf(name))
    }
    await create("vm2", ["private", "plain", "seven"])
    await create("vm3", ["private"], { host: "host3" })
    for (const vm of ["vm2", "vm3"]) await admin.untilStatus(idOf(vm), "ACTIVE")
    assert.equal(await hostOf("vm2"), "host2", "the one that reaches them")
  })

  /** Packets that came from a machine into the public network's bridge, by its cable. */
  const packetsFrom = async (machine: string) => {
    const { stdout } = await cloud.inside("ip", ["-s", "-j", "link", "show", "master", publicBridge])
    const links: { ifname: string; stats64: { rx: { packets: number } } }[] = JSON.parse(stdout)
    const isOwn = (name: string) =>
      machine === "the first host" ? name.startsWith("kp-") : name === `${publicBridge}-${machine}`
    return links.find(({ ifname }) => isOwn(ifname))?.stats64.rx.packets ?? assert.fail(`no ${machine}`)
  }

  /** Pings from outside, a connection from outside and pings of the guest's: which machines passed the answers on. */
  async function waysOf(vm: string): Promise<string[]> {
    const address = floating.get(vm) ?? assert.fail(`${vm} has no floating IP`)
    const machines = ["the first host", "host2", "host3"]
    const ways = new Set<string>()
    for (const work of [
      () => cloud.inside("ping", ["-q", "-c", "60", "-i", "0.05", "-W", "5", address]),
      () => ssh(vm, "head -c 1000000 /dev/zero"),
      () => ssh(vm, `sudo ping -q -c 60 -i 0.05 172.24.4.1`),
    ]) {
      const before = await Promise.all(machines.map(packetsFrom))
      await work()
      const after = await Promise.all(machines.map(packetsFrom))
      for (const [at, machine] of machines.entries())
        if ((after[at] ?? 0) - (before[at] ?? 0) >= 50) ways.add(machine)
    }
    return [...ways]
  }

  /** Hosts that are not connected yet hear of a change when they are. */
  const leavesBy = (vm: string, machine: string | undefined) =>
    eventually(`what is ${vm}'s to leave by ${machine} alone`, async () => {
      const ways = await waysOf(vm)
      return ways.length === 1 && ways[0] === machine
    })

  const macOfPort = async (query: string) =>
    (await admin.get(`/network/v2.0/ports?${query}`)).ports[0].mac_address as string
  const macAt = async (address: string) => {
    await cloud.inside("ip", ["neighbour", "flush", "to", address])
    await cloud.inside("ping", ["-c", "1", "-W", "2", address], { isChecked: false })
    return /lladdr (\S+)/.exec((await cloud.inside("ip", ["neighbour", "show", address])).stdout)?.[1]
  }
  const isAnsweredBy = (vm: string, mac: string) =>
    eventually(
      `${vm} to be answered for by ${mac}`,
      async () => (await macAt(floating.get(vm) ?? "")) === mac,
    )
  const ownMac = (vm: string) =>
    macOfPort(`device_owner=network:floatingip&fixed_ips=ip_address=${floating.get(vm)}`)

  test("a floating IP is answered by its server's host itself, which its packets leave by", async () => {
    for (const vm of ["vm2", "vm3"]) {
      floating.set(vm, await admin.giveFloatingIp(idOf(vm)))
      assert.equal((await eventually(`ssh to ${vm}`, () => ssh(vm, "hostname"))).trim(), vm)
      const mac = await ownMac(vm)
      await isAnsweredBy(vm, mac)
      const { stdout: bridge } = await cloud.inside("bridge", ["fdb", "show", "br", publicBridge])
      assert.match(bridge, new RegExp(`${mac} dev ${publicBridge}-${await hostOf(vm)}`))
      await leavesBy(vm, await hostOf(vm))
    }
  })

  test("a host is given another bridge while its guests run, and reaches that network from then on", async () => {
    const uptime = async () => Number((await ssh("vm3", "cat /proc/uptime")).split(" ")[0])
    const before = await uptime()
    const attach = async (name: string) => {
      const interfaceAttachment = { net_id: await admin.networkId(name) }
      return await admin.send("POST", `/compute/v2.1/servers/${idOf("vm3")}/os-interface`, {
        interfaceAttachment,
      })
    }
    const refused = await attach("plain")
    assert.ok(refused.status >= 400 && refused.status < 500, String(refused.status))
    assert.match(JSON.stringify(refused.body), /does not reach the physical network/)
    const map = (text: string) =>
      third()
        .kumoi("host", "bridge-mappings", text)
        .then(({ stdout }) => stdout, String)
    assert.match(await map("dc=br-dc"), /"dc=br-dc" is no mapping/)
    assert.match(await map("dc:br-none"), /br-none.*is no bridge here/)
    assert.match(
      String(await cloud.kumoi("host", "bridge-mappings", "dc:br-dc").catch(String)),
      /bridgeMappings/,
    )
    assert.equal(await mappingsOf("host3"), "public (br-public)", "what was refused has changed nothing")
    assert.match(await map(`public:${publicBridge},dc:${centreBridge}`), /host3 reaches .*dc by br-dc/)
    await eventually("the cloud to know", async () => /dc \(br-dc\)/.test((await mappingsOf("host3")) ?? ""))
    await third().killForGood()
    await third().kumoi("up", "--detach")
    assert.match((await mappingsOf("host3")) ?? "", /dc \(br-dc\)/, "it is kept")
    for (const name of ["plain", "seven"]) {
      const { status } = await attach(name)
      assert.equal(status, 200)
    }
    await eventually("the interfaces in the guest", async () =>
      /eth2/.test(await ssh("vm3", "ls /sys/class/net")),
    )
    for (const device of ["eth1", "eth2"])
      await ssh(
        "vm3",
        `sudo ip link set ${device} up && sudo udhcpc -n -q -i ${device} -s /etc/udhcpc/default.script`,
      )
    assert.ok((await uptime()) > before, "the guest was not started again")
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

  test("floating IPs are central after the key was changed, and distributed after it was changed back", async () => {
    configure({ enableDistributedFloatingIp: false })
    await cloud.kumoi("down")
    await eventually("vm3, whose host goes on without its cloud", async () => {
      return (await ssh("vm3", "hostname")).trim() === "vm3"
    })
    await cloud.up()
    const router = await macOfPort(`device_owner=network:router_gateway`)
    for (const vm of ["vm2", "vm3"]) {
      await isAnsweredBy(vm, router)
      await leavesBy(vm, "the first host")
    }
    configure({ enableDistributedFloatingIp: true })
    await cloud.kumoi("down")
    await cloud.up()
    for (const vm of ["vm2", "vm3"]) {
      await isAnsweredBy(vm, await ownMac(vm))
      await leavesBy(vm, await hostOf(vm))
    }
  })

  test("a host that loses the public network's bridge has its floating IPs answered centrally", async () => {
    await third().kumoi("host", "bridge-mappings", `dc:${centreBridge}`)
    await isAnsweredBy("vm3", await macOfPort(`device_owner=network:router_gateway`))
    await leavesBy("vm3", "the first host")
    await third().kumoi("host", "bridge-mappings", `dc:${centreBridge},public:${publicBridge}`)
    await isAnsweredBy("vm3", await ownMac("vm3"))
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
