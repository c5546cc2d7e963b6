// Three hosts, one cloud: they join by the printed line, machines on each reach one another and the outside, and a host
// that is cut off or dies takes nothing with it.
import assert from "node:assert/strict"
import { chmodSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, before, describe, test } from "node:test"
import { eventually, isRoot, run, sshOptions, TestCloud } from "./cloud.ts"
import { cloudAddress, hostBridges, TestHost } from "./hosts.ts"
import { Session } from "./session.ts"

interface ShownHost {
  name: string
  state: string
  gatewayPriority: number | null
}

describe("a cloud of three hosts", { skip: isRoot ? false : "real networks need root" }, () => {
  let cloud: TestCloud
  let admin: Session
  const hosts: TestHost[] = []
  const shared = mkdtempSync(join(tmpdir(), "kumoi-acceptance-nas-"))
  const ids = new Map<string, string>()
  const floating = new Map<string, string>()
  const fixed = new Map<string, string>()
  const keyFile = () => join(cloud.dataDir, "test-key")

  before(async () => {
    const flags = ["--listen", cloudAddress]
    // The kernel of a test's machine has no NFS: another file system is where all hosts find it.
    chmodSync(shared, 0o711)
    await run("mount", ["-t", "tmpfs", "-o", "size=4g,mode=0711", "nas:/volumes", shared])
    const backEnds = [
      { name: "file", kind: "file" },
      { name: "nas", kind: "nfs", directory: shared, source: "nas:/volumes" },
    ]
    const env = { KUMOI_AGENT_VOLUME_BACK_ENDS: JSON.stringify(backEnds) }
    cloud = await TestCloud.start({ hypervisor: "qemu", network: "ovn", flags, bridges: hostBridges, env })
    admin = await Session.open(cloud, "admin")
    for (const number of [2, 3]) hosts.push(await TestHost.make(cloud, number))
  })
  after(async () => {
    for (const host of hosts) await host[Symbol.asyncDispose]()
    await cloud?.[Symbol.asyncDispose]()
    await run("umount", [shared], { isChecked: false })
    rmSync(shared, { recursive: true })
  })

  const second = () => hosts[0] ?? assert.fail("no second host")
  const third = () => hosts[1] ?? assert.fail("no third host")
  const client = (...args: string[]) => cloud.openstack("admin", ...args)
  const listed = async () =>
    (JSON.parse((await cloud.kumoi("host", "list", "--json")).stdout) as { cloudHosts: ShownHost[] })
      .cloudHosts
  const stateOf = async (name: string) => (await listed()).find((host) => host.name === name)?.state
  const idOf = (server: string) => ids.get(server) ?? assert.fail(`${server} was not made`)
  const hostOf = async (server: string) =>
    (await admin.get(`/compute/v2.1/servers/${idOf(server)}`)).server["OS-EXT-SRV-ATTR:host"]
  const addressOf = (server: string) => floating.get(server) ?? assert.fail(`${server} has no floating IP`)
  const pings = async (address: string) =>
    (await cloud.inside("ping", ["-c", "1", "-W", "2", address], { isChecked: false })).exitCode === 0
  const sshArgs = (server: string, ...command: string[]) => {
    const args = ["-i", keyFile(), ...sshOptions]
    return [...args, `cirros@${addressOf(server)}`, ...command]
  }
  const ssh = async (server: string, ...command: string[]) => {
    try {
      return (await cloud.inside("ssh", sshArgs(server, ...command))).stdout
    } catch (error) {
      // What the guest's kernel says of it.
      const { output } = await admin.act(idOf(server), "os-getConsoleOutput", { length: 40 })
      throw new Error(`${error}\nthe console of ${server}:\n${output}`)
    }
  }

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
    await eventually("network agents", async () => {
      return (await admin.get("/network/v2.0/agents?host=host3")).agents.length > 0
    })
    const agents = await client("network", "agent", "list", "--host", "host3", "-f", "value")
    assert.match(agents, /OVN Controller agent.*host3/)
    assert.match(await client("hypervisor", "list", "-f", "value"), /host2 QEMU 10\.99\.0\.2 up/)
  })

  test("machines on each host boot, from an image that came through the door", async () => {
    await admin.createKey("key", keyFile())
    await admin.letIn()
    const own = (await listed()).map(({ name }) => name).find((name) => !/^host[23]$/.test(name))
    for (const [at, host] of [own ?? assert.fail("no first host"), "host2", "host3"].entries()) {
      const name = `vm${at + 1}`
      ids.set(name, await admin.createServer({ name, host, key_name: "key" }))
    }
    for (const [vm, id] of ids) {
      await admin.untilStatus(id, "ACTIVE")
      floating.set(vm, await admin.giveFloatingIp(id))
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

  test("a server that is moved has its disk on the other host, and the one of before when that is reverted", async () => {
    await ssh("vm3", "echo kept > note; sync")
    await client("--os-compute-api-version", "2.56", "server", "migrate", "--host", "host2", idOf("vm3"))
    await admin.untilStatus(idOf("vm3"), "VERIFY_RESIZE")
    assert.equal(await hostOf("vm3"), "host2")
    assert.equal(
      await eventually("the moved guest", () => ssh("vm3", "cat note; echo lost >> note")),
      "kept\n",
    )
    await client("server", "resize", "revert", idOf("vm3"))
    await admin.untilStatus(idOf("vm3"), "ACTIVE")
    assert.equal(await hostOf("vm3"), "host3")
    assert.equal(await eventually("the guest of before", () => ssh("vm3", "cat note")), "kept\n")
  })

  /** While it works. */
  async function takesTo(host: string, server: string): Promise<void> {
    const live = ["--os-compute-api-version", "2.30", "server", "migrate", "--live-migration", "--host", host]
    await client(...live, idOf(server))
    await eventually(`the guest to be on ${host}`, async () => (await hostOf(server)) === host)
    await admin.untilStatus(idOf(server), "ACTIVE")
  }

  test("a guest that runs goes to another host and back: no byte is lost, no connection ends", async (t) => {
    // Each line is written to the disk there and told here; when it came is noted.
    const write = "i=0; while [ ! -e stop ]; do i=$((i+1)); echo $i | tee -a ticks; sync; sleep 0.1; done"
    const note = '"$@" | while read -r line; do echo "$(date +%s%3N) $line"; done'
    const ticking = cloud.inside("sh", ["-c", note, "sh", "ssh", ...sshArgs("vm3", write)], {
      timeoutMs: 300_000,
    })
    await eventually("the guest to write", () => ssh("vm3", "cat ticks"))
    for (const host of ["host2", "host3"]) {
      await takesTo(host, "vm3")
      assert.equal((await ssh("vm3", "hostname")).trim(), "vm3")
    }
    await ssh("vm3", "touch stop")
    const told = (await ticking).stdout
      .trim()
      .split("\n")
      .map((line) => line.split(" ").map(Number))
    const kept = (await ssh("vm3", "cat ticks")).trim().split("\n").map(Number)
    assert.deepEqual(
      kept,
      [...kept.keys()].map((index) => index + 1),
    )
    assert.deepEqual(
      told.map(([, number]) => number),
      kept,
    )
    const times = told.map(([at = 0]) => at)
    const longest = Math.max(...times.slice(1).map((at, index) => at - (times[index] ?? at)))
    const [last] = (await admin.get(`/compute/v2.1/os-migrations?instance_uuid=${idOf("vm3")}`)).migrations
    t.diagnostic(`${kept.length} lines; the longest silence was ${longest} ms`)
    assert.deepEqual([last.status, last.source_compute, last.dest_compute], ["completed", "host2", "host3"])
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
    const bySecond = async (command: string) => (await second().inside("ssh", sshArgs("vm3", command))).stdout
    const numbersIn = (text: string) => [...text.matchAll(/seq=(\d+) /g)].map((m) => Number(m[1]))
    await bySecond(pinging)
    await eventually(
      "answers by the second host",
      async () => numbersIn(await bySecond(`cat ${log}`)).length > 10,
    )
    await second().pullCable()
    const sequence = async () => numbersIn(await ssh("vm3", `cat ${log}`))
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
    await admin.act(idOf("vm2"), "createImage", { name: "frozen" })
    await eventually("the image to be active", async () => {
      const { images } = await admin.get("/image/v2/images?name=frozen")
      return images.length === 1 && images[0].status === "active"
    })
  })

  test("what a machine of one host flushed to a volume that hosts share a machine of the other reads", async () => {
    const spec = { name: "nas", extra_specs: { volume_backend_name: "nas" } }
    await admin.must("POST", "/volume/v3/types", { volume_type: spec })
    await client("volume", "create", "--size", "1", "--type", "nas", "data")
    const volumeIs = (status: string) =>
      eventually(`the volume to be ${status}`, async () => {
        const { volumes } = await admin.get("/volume/v3/volumes/detail?name=data")
        assert.notEqual(volumes[0].status, "error")
        return volumes[0].status === status && volumes[0]["os-vol-host-attr:host"]
      })
    const sumIn = async (vm: string) =>
      (await ssh(vm, "sudo head -c 16777216 /dev/vdb | sha256sum")).split(" ")[0] ?? ""
    await volumeIs("available")
    await client("server", "add", "volume", "vm2", "data")
    assert.equal(await volumeIs("in-use"), "host2@nas#nas")
    await ssh("vm2", "sudo dd if=/dev/urandom of=/dev/vdb bs=1M count=16 conv=fsync 2>/dev/null")
    const sum = await sumIn("vm2")
    assert.match(sum, /^[0-9a-f]{64}$/)
    // It takes the volume along while it writes behind that: each number in a block, and noted when it is on the disk.
    const block = "echo $i | sudo dd of=/dev/vdb bs=512 seek=$((40000+i)) conv=fsync,notrunc 2>/dev/null"
    const writing = `i=0; while [ ! -e stop ]; do i=$((i+1)); ${block}; echo $i >> ticks; done`
    await ssh("vm2", `rm -f stop ticks; (${writing}) >/dev/null 2>&1 </dev/null &`)
    await eventually("the guest to write", () => ssh("vm2", "cat ticks"))
    for (const host of ["host3", "host2"]) {
      await takesTo(host, "vm2")
      assert.equal(await volumeIs("in-use"), `${host}@nas#nas`)
    }
    await ssh("vm2", "touch stop; sudo sh -c 'echo 3 > /proc/sys/vm/drop_caches'")
    assert.equal(await sumIn("vm2"), sum)
    const blocks = "sudo dd if=/dev/vdb bs=512 skip=40001 count=$(wc -l < ticks) 2>/dev/null | tr -d '\\0'"
    assert.equal(await ssh("vm2", `${blocks} | sha256sum`), await ssh("vm2", "sha256sum < ticks"))
    await client("server", "remove", "volume", "vm2", "data")
    await volumeIs("available")
    await client("server", "add", "volume", "vm1", "data")
    assert.doesNotMatch(await volumeIs("in-use"), /^host2@/)
    assert.equal(await sumIn("vm1"), sum)
    await client("server", "remove", "volume", "vm1", "data")
    await volumeIs("available")
    await client("volume", "delete", "data")
  })

  test("a host that is cut off is down, its machines run on, and it is back by itself", async () => {
    const before = Number((await ssh("vm2", "cat /proc/uptime")).split(".")[0])
    await second().pullCable()
    await eventually("the host to be down", async () => (await stateOf("host2")) === "down")
    assert.equal((await admin.server(idOf("vm2"))).status, "ACTIVE")
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
    await admin.act(idOf("vm3"), "reboot", { type: "HARD" })
    await admin.untilStatus(idOf("vm3"), "ACTIVE")
    assert.equal((await eventually("ssh", () => ssh("vm3", "hostname"))).trim(), "vm3")
  })

  const evacuate = async (server: string, host: string) => {
    const asked = ["--os-compute-api-version", "2.68", "server", "evacuate", "--host", host, idOf(server)]
    // This client (6.0) looks for a server in an answer that has none, in Nova's neither; it has asked by then.
    const said = await client(...asked).catch(String)
    assert.match(said, /'TupleWithMeta' object has no attribute 'to_dict'|status/)
  }
  const lastMove = async (server: string) =>
    (await admin.get(`/compute/v2.1/os-migrations?instance_uuid=${idOf(server)}`)).migrations[0]
  const isRunning = (pid: number) => {
    try {
      return process.kill(pid, 0)
    } catch {
      return false
    }
  }

  test("a server of a host that has died goes on elsewhere, and the host that is back has it no more", async () => {
    const id = idOf("vm3")
    await third().killForGood()
    process.kill(third().machinePid(id), "SIGKILL")
    await eventually("the host to be down", async () => (await stateOf("host3")) === "down")
    assert.equal(await pings(addressOf("vm3")), false)
    await evacuate("vm3", "host2")
    await admin.untilStatus(id, "ACTIVE")
    assert.equal(await hostOf("vm3"), "host2")
    assert.equal((await eventually("ssh", () => ssh("vm3", "hostname"))).trim(), "vm3")
    assert.match(await ssh("vm3", "ip -4 addr show eth0"), new RegExp(`inet ${fixed.get("vm3")}/`))
    await third().kumoi("up", "--detach")
    await eventually("its machine to be gone", async () => !third().hasMachine(id))
    await eventually("the migration to be over", async () => (await lastMove("vm3")).status === "completed")
    assert.equal(await stateOf("host3"), "up")
    assert.equal((await ssh("vm3", "hostname")).trim(), "vm3")
  })

  test("a guest that has run on where nobody could reach it ends when its host is back, and no other does", async () => {
    const id = idOf("vm3")
    const uptime = async (vm: string) => Number((await ssh(vm, "cat /proc/uptime")).split(".")[0])
    const before = await uptime("vm2")
    const pid = second().machinePid(id)
    await second().pullCable()
    await eventually("the host to be down", async () => (await stateOf("host2")) === "down")
    await evacuate("vm3", "host3")
    await admin.untilStatus(id, "ACTIVE")
    assert.equal((await eventually("ssh", () => ssh("vm3", "hostname"))).trim(), "vm3")
    assert.ok(isRunning(pid), "nobody could tell the host")
    await second().plugCable()
    await eventually("its guest to end", async () => !isRunning(pid))
    await eventually("its machine to be gone", async () => !second().hasMachine(id))
    assert.ok((await eventually("ssh", () => uptime("vm2"))) > before, "another guest was started again")
    assert.equal((await ssh("vm3", "hostname")).trim(), "vm3")
    assert.equal(await hostOf("vm3"), "host3")
  })

  test("a host is removed when no server is on it, and its certificate opens nothing any more", async () => {
    const refused = await cloud.kumoi("host", "remove", "host3").catch(String)
    assert.match(String(refused), /has servers\. They go first: \.\/kumoi host drain/)
    await admin.deleteServer(idOf("vm3"))
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
    // It may be about to come back since it was away itself.
    await eventually("the other host to hear of the network", () => second().hearsNetwork())
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
    const log = (await cloud.inside("cat", [join(cloud.dataDir, "log/kumoi.log")])).stdout
    assert.doesNotMatch(log, /tunnels end at an address that is not its own/, "nobody lied")
  })
})
