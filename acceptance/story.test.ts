// The main job: the stock client boots a real machine, and ssh goes in.
import assert from "node:assert/strict"
import { chmodSync, readdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { after, before, describe, test } from "node:test"
import { eventually, isRoot, sshOptions, TestCloud } from "./cloud.ts"
import { Session } from "./session.ts"

describe("the story of a machine, by the stock client", {
  skip: isRoot ? false : "real machines and networks need root",
}, () => {
  let cloud: TestCloud
  /** Waits for what the stock client asked for. */
  let session: Session
  let id = ""
  let address = ""
  const keyFile = () => join(cloud.dataDir, "test-key")

  const untilReady = (server: string, name: string) =>
    eventually(`the guest ${name} to be ready`, async () =>
      (await session.consoleOf(server)).includes(`ready: ${name}`),
    )
  const ssh = (...command: string[]) =>
    cloud.inside("ssh", ["-i", keyFile(), ...sshOptions, `cirros@${address}`, ...command])

  const isPort22Open = async () =>
    (await cloud.inside("nc", ["-z", "-w", "3", address, "22"], { isChecked: false })).exitCode === 0

  before(async () => {
    cloud = await TestCloud.start({ hypervisor: "qemu", network: "ovn" })
    session = await Session.open(cloud, "demo")
  })

  after(async () => {
    await cloud?.[Symbol.asyncDispose]()
  })

  test("key pair, image, flavor, network, security group rules", async () => {
    writeFileSync(keyFile(), `${await cloud.openstack("demo", "keypair", "create", "key")}\n`)
    chmodSync(keyFile(), 0o600)
    assert.match(await cloud.openstack("demo", "image", "list"), /kumoi-guest.*active/)
    assert.match(await cloud.openstack("demo", "flavor", "list"), /m1\.tiny/)
    assert.match(await cloud.openstack("demo", "network", "list"), /private/)
    await cloud.openstack("demo", "security", "group", "rule", "create", "--protocol", "icmp", "default")
    await cloud.openstack(
      "demo",
      "security",
      "group",
      "rule",
      "create",
      "--protocol",
      "tcp",
      "--dst-port",
      "22",
      "default",
    )
  })

  test("a server becomes ACTIVE and its console shows the guest's own boot", async () => {
    await cloud.openstack(
      "demo",
      "server",
      "create",
      "--image",
      "kumoi-guest",
      "--flavor",
      "m1.tiny",
      "--network",
      "private",
      "--key-name",
      "key",
      "--config-drive",
      "false",
      "--wait",
      "vm1",
    )
    type Server = { id: string; status: string }
    const shown = await cloud.openstackJson<Server>("demo", "server", "show", "vm1")
    assert.equal(shown.status, "ACTIVE")
    id = shown.id
    await untilReady(id, "vm1")
    const log = await cloud.openstack("demo", "console", "log", "show", "vm1")
    assert.match(log, /Linux version/)
    assert.match(log, /kumoi guest ready: vm1/)
  })

  test("a floating IP leads to it, by ping and by ssh with the key", async () => {
    const fip = await cloud.openstackJson<{ floating_ip_address: string }>(
      "demo",
      "floating",
      "ip",
      "create",
      "public",
    )
    address = fip.floating_ip_address
    await cloud.openstack("demo", "server", "add", "floating", "ip", "vm1", address)
    const result = await eventually("ssh", async () => await ssh("hostname"))
    assert.equal(result.stdout.trim(), "vm1")
    await cloud.inside("ping", ["-c", "1", "-W", "5", address])
  })

  test("the guest sees its metadata and reaches the outside of its network", async () => {
    const metadata = await ssh("wget -q -O - http://169.254.169.254/openstack/latest/meta_data.json")
    assert.equal(JSON.parse(metadata.stdout).name, "vm1")
    const gateway = "172.24.4.1"
    assert.match((await ssh(`ping -c 1 -W 5 ${gateway}`)).stdout, /1 packets received|1 received/)
  })

  test("without the rule, port 22 is closed; with it again, open", async () => {
    type Rule = { ID: string; "Port Range": string }
    const rules = await cloud.openstackJson<Rule[]>(
      "demo",
      "security",
      "group",
      "rule",
      "list",
      "default",
      "--protocol",
      "tcp",
    )
    const rule = rules.find((r) => r["Port Range"] === "22:22")
    assert.ok(rule)
    assert.ok(await isPort22Open(), "open before the rule goes")
    await cloud.openstack("demo", "security", "group", "rule", "delete", rule.ID)
    await eventually("port 22 to be closed", async () => !(await isPort22Open()))
    await cloud.openstack(
      "demo",
      "security",
      "group",
      "rule",
      "create",
      "--protocol",
      "tcp",
      "--dst-port",
      "22",
      "default",
    )
    await eventually("ssh again", async () => (await ssh("hostname")).stdout.trim() === "vm1")
  })

  test("stop, start, reboot", async () => {
    await cloud.openstack("demo", "server", "stop", "vm1")
    await session.untilStatus(id, "SHUTOFF")
    await cloud.openstack("demo", "server", "start", "vm1")
    await session.untilStatus(id, "ACTIVE")
    await eventually("ssh after start", async () => (await ssh("hostname")).stdout.trim() === "vm1")
    await cloud.openstack("demo", "server", "reboot", "--hard", "--wait", "vm1")
    await eventually("ssh after reboot", async () => (await ssh("hostname")).stdout.trim() === "vm1")
  })

  test("a snapshot of it boots; shelved and unshelved, it has what it wrote; its host keeps no copy", async () => {
    const demo = (...args: string[]) => cloud.openstack("demo", ...args)
    await ssh("echo kept > kept && sync")
    await demo("server", "image", "create", "--name", "snap", "--wait", "vm1")
    assert.equal((await ssh("cat kept")).stdout.trim(), "kept")
    const like = ["--flavor", "m1.tiny", "--network", "private", "--wait"]
    await demo("server", "create", "--image", "snap", ...like, "vm2")
    const { servers } = await session.get("/compute/v2.1/servers?name=vm2")
    await untilReady(servers[0].id, "vm2")
    await demo("server", "delete", "--wait", "vm2")
    await demo("server", "shelve", "--offload", "--wait", "vm1")
    assert.deepEqual(readdirSync(join(cloud.dataDir, "agent/snapshots")), [])
    await demo("server", "unshelve", "--wait", "vm1")
    await eventually("ssh after unshelving", async () => (await ssh("cat kept")).stdout.trim() === "kept")
  })

  test("resized to a flavor that says more than sizes, the guest sees its cells of memory", async () => {
    const sizes = ["--ram", "256", "--vcpus", "2", "--disk", "1"]
    const wishes = ["hw:numa_nodes=2", "hw_rng:allowed=false"]
    const properties = wishes.flatMap((wish) => ["--property", wish])
    await cloud.openstack("admin", "flavor", "create", ...sizes, ...properties, "cells")
    await cloud.openstack("demo", "server", "resize", "--flavor", "cells", "--wait", "vm1")
    await cloud.openstack("demo", "server", "resize", "confirm", "vm1")
    await session.untilStatus(id, "ACTIVE")
    const nodes = await eventually(
      "ssh after the resize",
      async () => await ssh("ls -d /sys/devices/system/node/node?"),
    )
    assert.equal(nodes.stdout.trim().split("\n").length, 2)
    const version = { "openstack-api-version": "compute 2.78" }
    const topology = await session.must("GET", `/compute/v2.1/servers/${id}/topology`, undefined, version)
    assert.deepEqual(
      topology.nodes.map((node: { memory_mb: number; vcpu_set: number[] }) => [
        node.memory_mb,
        node.vcpu_set,
      ]),
      [
        [128, [0]],
        [128, [1]],
      ],
    )
  })

  test("delete leaves no server; down leaves nothing", async () => {
    await cloud.openstack("demo", "server", "delete", "--wait", "vm1")
    assert.equal(await cloud.openstack("demo", "server", "list", "-f", "value"), "")
    await cloud.kumoi("down")
    assert.deepEqual(await cloud.traces(), [])
  })
})
