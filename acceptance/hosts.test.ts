// Three hosts, one cloud: they join by the printed line, machines on each reach one another and the outside, and a host
// that is cut off or dies takes nothing with it.
import assert from "node:assert/strict"
import { chmodSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { after, before, describe, test } from "node:test"
import { setTimeout as delay } from "node:timers/promises"
import { eventually, isRoot, TestCloud } from "./cloud.ts"
import { cloudAddress, TestHost } from "./hosts.ts"

interface ShownHost {
  name: string
  state: string
  gatewayPriority: number | null
}

describe("a cloud of three hosts", { skip: isRoot ? false : "real networks need root" }, () => {
  let cloud: TestCloud
  const hosts: TestHost[] = []
  const floating = new Map<string, string>()
  const fixed = new Map<string, string>()
  const keyFile = () => join(cloud.dataDir, "test-key")

  before(async () => {
    const flags = ["--listen", cloudAddress]
    cloud = await TestCloud.start({ hypervisor: "qemu", network: "ovn", flags, bridge: `${cloudAddress}/24` })
    for (const number of [2, 3]) hosts.push(await TestHost.make(cloud, number))
  })
  after(async () => {
    for (const host of hosts) await host[Symbol.asyncDispose]()
    await cloud?.[Symbol.asyncDispose]()
  })

  const second = () => hosts[0] ?? assert.fail("no second host")
  const third = () => hosts[1] ?? assert.fail("no third host")
  const admin = (...args: string[]) => cloud.openstack("admin", ...args)
  const listed = async () =>
    (JSON.parse((await cloud.kumoi("host", "list", "--json")).stdout) as { cloudHosts: ShownHost[] })
      .cloudHosts
  const stateOf = async (name: string) => (await listed()).find((host) => host.name === name)?.state
  const statusOf = async (name: string) => await admin("server", "show", name, "-f", "value", "-c", "status")
  const addressOf = (server: string) => floating.get(server) ?? assert.fail(`${server} has no floating IP`)
  const pings = async (address: string) =>
    (await cloud.inside("ping", ["-c", "1", "-W", "2", address], { isChecked: false })).exitCode === 0
  const sshArgs = (server: string, ...command: string[]) => {
    const options = [
      "StrictHostKeyChecking=no",
      "UserKnownHostsFile=/dev/null",
      "ConnectTimeout=5",
      "BatchMode=yes",
    ]
    const args = ["-i", keyFile(), ...options.flatMap((option) => ["-o", option])]
    return [...args, `cirros@${addressOf(server)}`, ...command]
  }
  const ssh = async (server: string, ...command: string[]) =>
    (await cloud.inside("ssh", sshArgs(server, ...command), { timeoutMs: 30_000 })).stdout

  test("two hosts join by the line that the cloud prints", async () => {
    for (const host of hosts)
      assert.match(
        await host.join(...(host === second() ? ["--public"] : [])),
        new RegExp(`is a host of the cloud at .*${cloudAddress}`),
      )
    await eventually("all hosts to be up", async () => {
      const states = (await listed()).map(({ state }) => state)
      return states.length === 3 && states.every((state) => state === "up")
    })
    const again = await second().kumoi("host", "join", `https://${cloudAddress}:5443`, "x").catch(String)
    assert.match(String(again), /is the host host2 of the cloud/)
    const agents = await eventually("network agents", async () => {
      const text = await admin("network", "agent", "list", "--host", "host3", "-f", "value")
      return text !== "" && text
    })
    assert.match(agents, /OVN Controller agent.*host3/)
    assert.match(await admin("hypervisor", "list", "-f", "value"), /host2 QEMU 10\.99\.0\.2 up/)
  })

  test("machines on each host boot, from an image that came through the door", async () => {
    writeFileSync(keyFile(), `${await admin("keypair", "create", "key")}\n`)
    chmodSync(keyFile(), 0o600)
    for (const rule of [["icmp"], ["tcp", "--dst-port", "22"]]) {
      const group = await admin("security", "group", "list", "--project", "admin", "-f", "value", "-c", "ID")
      await admin("security", "group", "rule", "create", group, "--protocol", ...rule)
    }
    const names = ["", "host2", "host3"]
    for (const [at, host] of names.entries()) {
      const first = (await listed()).map(({ name }) => name).find((name) => !names.includes(name)) ?? ""
      const where = ["--os-compute-api-version", "2.74"]
      const what = [
        "--image",
        "kumoi-guest",
        "--flavor",
        "m1.tiny",
        "--network",
        "private",
        "--key-name",
        "key",
      ]
      const vm = `vm${at + 1}`
      await admin(
        ...where,
        "server",
        "create",
        ...what,
        "--config-drive",
        "false",
        "--host",
        host || first,
        vm,
      )
    }
    for (const vm of ["vm1", "vm2", "vm3"]) {
      await eventually(`${vm} to be ACTIVE`, async () => (await statusOf(vm)) === "ACTIVE")
      const ip = await admin("floating", "ip", "create", "public", "-f", "value", "-c", "floating_ip_address")
      await admin("server", "add", "floating", "ip", vm, ip)
      floating.set(vm, ip)
    }
    for (const vm of ["vm1", "vm2", "vm3"]) {
      assert.equal((await eventually(`ssh to ${vm}`, () => ssh(vm, "hostname"))).trim(), vm)
      const address = /inet (10\.[\d.]+)/.exec(await ssh(vm, "ip -4 addr show eth0"))?.[1]
      fixed.set(vm, address ?? assert.fail("no address"))
    }
  })

  test("they reach one another over the tunnels, with small and large packets", async () => {
    for (const [from, to] of [
      ["vm1", "vm2"],
      ["vm2", "vm3"],
      ["vm3", "vm1"],
    ] as const) {
      for (const size of ["56", "1400"]) {
        const out = await ssh(from, `ping -c 2 -W 5 -s ${size} ${fixed.get(to)}`)
        assert.match(out, /2 packets received|2 received/, `${from} to ${to}, ${size} bytes`)
      }
    }
  })

  test("each has its own metadata, asked for through the door", async () => {
    for (const vm of ["vm2", "vm3"]) {
      const text = await ssh(vm, "wget -q -O - http://169.254.169.254/openstack/latest/meta_data.json")
      assert.equal(JSON.parse(text).name, vm)
    }
  })

  test("when the gateway is lost another one takes over within seconds", async (t) => {
    const refused = await cloud.kumoi("host", "gateway", "host3", "on").catch(String)
    assert.match(String(refused), /host3 has no way to the external network/)
    const { stdout } = await cloud.kumoi("host", "gateway", "host2", "on", "--priority", "3")
    assert.match(stdout, /Gateways: host2; if lost: /)
    assert.deepEqual((await listed()).map(({ gatewayPriority }) => gatewayPriority).sort(), [2, 3, null])
    await eventually("the gateway on the second host", async () => {
      const args = ["-c", "1", "-W", "2", addressOf("vm3")]
      return (await second().inside("ping", args, { isChecked: false })).exitCode === 0
    })
    // Whichever host is the gateway, that address is beyond it.
    const log = "/tmp/pings"
    const pinging = `sudo sh -c 'ping -i 0.2 ${cloudAddress} >${log} 2>&1 </dev/null &'`
    const viaSecond = await second().inside("ssh", sshArgs("vm3", pinging), { timeoutMs: 30_000 })
    assert.equal(viaSecond.exitCode, 0)
    await delay(3_000)
    await second().pullCable()
    const sequence = async () =>
      [...(await ssh("vm3", `cat ${log}`)).matchAll(/seq=(\d+)/g)].map((m) => Number(m[1]))
    const before = (await eventually("the other gateway", sequence)).length
    const seen = await eventually("answers by it", async () => {
      const all = await sequence()
      return all.length > before + 10 && all
    })
    const lost = Math.max(...seen.slice(1).map((n, at) => n - (seen[at] ?? 0) - 1))
    t.diagnostic(`${(lost * 0.2).toFixed(1)} s without an answer`)
    assert.ok(lost > 0 && lost * 0.2 < 15, `${lost} pings lost one after the other`)
    await ssh("vm3", "sudo killall ping")
    await second().plugCable()
    await eventually("the host to be up", async () => (await stateOf("host2")) === "up")
    await cloud.kumoi("host", "gateway", "host2", "off")
    await eventually("the first host's gateway", () => pings(addressOf("vm3")))
  })

  test("a disk on another host becomes an image", async () => {
    await ssh("vm2", "sudo sh -c 'echo kept > /root/note; sync'")
    await admin("server", "image", "create", "--name", "frozen", "--wait", "vm2")
    assert.equal(await admin("image", "show", "frozen", "-f", "value", "-c", "status"), "active")
  })

  test("a host that is cut off is down, its machines run on, and it is back by itself", async () => {
    const before = Number((await ssh("vm2", "cat /proc/uptime")).split(".")[0])
    await second().pullCable()
    await eventually("the host to be down", async () => (await stateOf("host2")) === "down")
    assert.equal(await statusOf("vm2"), "ACTIVE")
    assert.equal(await pings(addressOf("vm2")), false)
    assert.equal(await pings(addressOf("vm3")), true)
    await second().plugCable()
    await eventually("the host to be up", async () => (await stateOf("host2")) === "up")
    const now = Number((await eventually("ssh", () => ssh("vm2", "cat /proc/uptime"))).split(".")[0])
    assert.ok(now > before, "the machine was not started again")
  })

  test("a host whose process is killed keeps its machines, and takes them up again", async () => {
    await third().killForGood()
    await eventually("the host to be down", async () => (await stateOf("host3")) === "down")
    assert.equal(await pings(addressOf("vm3")), true)
    await third().kumoi("up", "--detach")
    await eventually("the host to be up", async () => (await stateOf("host3")) === "up")
    await admin("server", "reboot", "--hard", "--wait", "vm3")
    assert.equal((await eventually("ssh", () => ssh("vm3", "hostname"))).trim(), "vm3")
  })

  test("a host is removed when no server is on it, and its certificate opens nothing any more", async () => {
    const refused = await cloud.kumoi("host", "remove", "host3").catch(String)
    assert.match(String(refused), /hosting instances/)
    await admin("server", "delete", "--wait", "vm3")
    const knock = async () => {
      const member = (name: string) => join(third().dataDir, "member", name)
      const files = ["--cert", member("host.pem"), "--key", member("host.key"), "--cacert", member("ca.pem")]
      const upgrade = ["-H", "connection: upgrade", "-H", "upgrade: kumoi-southbound"]
      const where = ["--connect-to", `::${cloudAddress}:`, "https://control.kumoi:5443/v1/southbound"]
      const args = [...files, ...upgrade, ...where, "-sS", "-m", "3", "-o", "/dev/null", "-w", "%{http_code}"]
      return (await third().inside("curl", args, { isChecked: false })).stdout
    }
    assert.equal(await third().hearsNetwork(), true)
    assert.equal(await knock(), "101")
    await cloud.kumoi("host", "remove", "host3")
    assert.equal(await third().hearsNetwork(), false, "it is cut off from OVN's database at once")
    assert.equal(await knock(), "403")
    assert.equal(await second().hearsNetwork(), true)
    const listeners = (await cloud.inside("ss", ["-Hltn"])).stdout
      .split("\n")
      .map((line) => line.split(/\s+/)[3])
    const outside = listeners.filter((each) => each && !each.startsWith("127.")).sort()
    assert.deepEqual(outside, [`${cloudAddress}:5000`, `${cloudAddress}:5443`], "there is no other way in")
    assert.equal(await stateOf("host3"), undefined)
    await eventually("the host to hear of it", async () => {
      const { stdout } = await third().inside("cat", [join(third().dataDir, "log/kumoi.log")])
      return stdout.includes("none of the cloud's")
    })
    await third().kumoi("down")
    assert.match(String(await third().kumoi("up", "--detach").catch(String)), /exit 78\b.*was removed/s)
    const findings = await third()
      .kumoi("doctor")
      .then(({ stdout }) => stdout, String)
    assert.match(findings, /this is the host host3 of the cloud/)
    assert.doesNotMatch(findings, /postgresql/)
  })
})
