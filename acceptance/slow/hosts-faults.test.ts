// What may happen to a joined host: its network is cut for seconds and for minutes, its process dies in the middle of
// creations and of a detach. Nothing doubles, nothing is left, and what it was told is so again by itself.
import assert from "node:assert/strict"
import { join } from "node:path"
import { after, before, describe, test } from "node:test"
import { setTimeout as delay } from "node:timers/promises"
import { eventually, isRoot, sshOptions, TestCloud } from "../cloud.ts"
import { cloudAddress, hostBridges, TestHost } from "../hosts.ts"
import { Session } from "../session.ts"

interface Found {
  hosts: { host: string; error: string | null; findings: { id: string; kind: string }[] }[]
}

describe("faults of a joined host", { skip: isRoot ? false : "real networks need root" }, () => {
  let cloud: TestCloud
  let host: TestHost
  let session: Session

  before(async () => {
    const flags = ["--listen", cloudAddress]
    cloud = await TestCloud.start({ hypervisor: "qemu", network: "ovn", flags, bridges: hostBridges })
    host = await TestHost.make(cloud, 2)
    await host.join()
    await isUp(true)
    session = await Session.open(cloud, "admin")
    await session.createKey("key", join(cloud.dataDir, "test-key"))
    await session.letIn()
  })
  after(async () => {
    await host?.[Symbol.asyncDispose]()
    await cloud?.[Symbol.asyncDispose]()
  })

  const admin = (...args: string[]) => cloud.openstack("admin", ...args)
  const statusOf = async (name: string) => await admin("server", "show", name, "-f", "value", "-c", "status")
  const isUp = (wanted: boolean) =>
    eventually(`host2 to be ${wanted ? "up" : "down"}`, async () => {
      const { stdout } = await cloud.kumoi("host", "list", "--json")
      const { cloudHosts } = JSON.parse(stdout) as { cloudHosts: { name: string; state: string }[] }
      return cloudHosts.some(({ name, state }) => name === "host2" && (state === "up") === wanted)
    })
  const create = async (name: string, ...more: string[]) => {
    const what = ["--image", "kumoi-guest", "--flavor", "m1.nano", "--network", "private"]
    const where = ["--os-compute-api-version", "2.74", "server", "create"]
    await admin(...where, ...what, "--config-drive", "false", "--host", "host2", ...more, name)
  }
  const machines = async () => {
    const { stdout } = await host.inside("pgrep", ["-c", "-f", `qemu-system.*${host.dataDir}`], {
      isChecked: false,
    })
    return Number(stdout)
  }
  const nothingUnknown = async () => {
    const { stdout } = await cloud.kumoi("host", "unknown", "host2", "--json")
    const [found] = (JSON.parse(stdout) as Found).hosts
    assert.equal(found?.error, null)
    assert.deepEqual(found?.findings, [])
  }

  // One alone: ./kumoi test slow --only "cut for 5 s", "cut for 60 s", "cut for 300 s".
  for (const seconds of [5, 60, 300]) {
    test(`its network is cut for ${seconds} s: its machine runs on, and what was asked for meanwhile is done`, async () => {
      const make = (name: string) => session.createServer({ name, host: "host2", key_name: "key" })
      const [id, gone] = [await make(`cut${seconds}`), await make(`gone${seconds}`)]
      for (const each of [id, gone]) await session.untilStatus(each, "ACTIVE")
      const address = await session.giveFloatingIp(id)
      const ssh = async (command: string) => {
        const args = ["-i", join(cloud.dataDir, "test-key"), ...sshOptions, `cirros@${address}`, command]
        return (await cloud.inside("ssh", args)).stdout
      }
      const pings = async () =>
        (await cloud.inside("ping", ["-c", "1", "-W", "2", address], { isChecked: false })).exitCode === 0
      // Counts by itself, whoever looks.
      const count = "test -e ticks || (while echo >> ticks; do sleep 1; done) < /dev/null > /dev/null 2>&1 &"
      await eventually("ssh", () => ssh(`${count} echo begun`))
      const ticks = async () => Number((await ssh("wc -l < ticks")).trim())
      const uptime = async () => Number((await ssh("cat /proc/uptime")).split(" ")[0])
      const before = { uptime: await uptime(), ticks: await ticks(), machines: await machines() }
      assert.equal(before.machines, 2)
      await host.pullCable()
      const cutMs = performance.now()
      const asked = await make(`asked${seconds}`)
      await session.must("DELETE", `/compute/v2.1/servers/${gone}`)
      const rules = await session.get(`/network/v2.0/security-group-rules?protocol=icmp&direction=ingress`)
      const [rule] = rules.security_group_rules
      await session.must("DELETE", `/network/v2.0/security-group-rules/${rule.id}`)
      await delay(seconds * 1_000 - (performance.now() - cutMs))
      assert.equal(await machines(), 2, "nobody ended or doubled what is there")
      assert.equal((await session.server(id)).status, "ACTIVE")
      await host.plugCable()
      await isUp(true)
      const now = await eventually("ssh", async () => ({ uptime: await uptime(), ticks: await ticks() }))
      assert.ok(now.uptime >= before.uptime + seconds, "the machine was not started again")
      assert.ok(now.ticks >= before.ticks + seconds * 0.5, `it worked on: ${now.ticks - before.ticks} ticks`)
      const end = await eventually("what was asked for", async () => {
        const { status } = await session.server(asked)
        return ["ACTIVE", "ERROR"].includes(status) && status
      })
      await eventually("what was deleted to be gone", async () => {
        const path = `/compute/v2.1/servers/${gone}`
        return (await session.send("GET", path)).status === 404
      })
      const left = end === "ACTIVE" ? 2 : 1
      await eventually("each machine once", async () => (await machines()) === left)
      await eventually("the rule to be gone there too", async () => !(await pings()))
      const { security_group_id } = rule
      const security_group_rule = { protocol: "icmp", direction: "ingress", security_group_id }
      await session.must("POST", "/network/v2.0/security-group-rules", { security_group_rule })
      await eventually("pings again", pings)
      for (const each of [id, asked]) await session.deleteServer(each)
      await eventually("no machine", async () => (await machines()) === 0)
      await nothingUnknown()
    })
  }

  test("its process dies at any moment of a creation: each server is ACTIVE in the end, with one machine", async () => {
    for (let at = 0; at < 8; at++) {
      await create(`killed${at}`)
      await delay(at * 120)
      await host.killForGood()
      await host.kumoi("up", "--detach")
      await eventually("the server", async () => (await statusOf(`killed${at}`)) === "ACTIVE")
      assert.equal(await machines(), 1)
      await admin("server", "delete", "--wait", `killed${at}`)
      await eventually("no machine", async () => (await machines()) === 0)
    }
    await nothingUnknown()
  })

  test("its process dies at any moment of a detach: the interface is gone in the end", async () => {
    await create("plugged", "--wait")
    for (let at = 0; at < 4; at++) {
      const port = await admin("port", "create", "--network", "private", "-f", "value", "-c", "id", `p${at}`)
      await admin("server", "add", "port", "plugged", port)
      await eventually("the port", async () =>
        /compute/.test(await admin("port", "show", port, "-f", "value", "-c", "device_owner")),
      )
      await admin("server", "remove", "port", "plugged", port)
      await delay(at * 100)
      await host.killForGood()
      await host.kumoi("up", "--detach")
      await eventually("the port to be free", async () => {
        const owner = await admin("port", "show", port, "-f", "value", "-c", "device_owner").catch(() => "")
        return !owner.includes("compute")
      })
    }
    assert.equal(await machines(), 1)
    await admin("server", "delete", "--wait", "plugged")
    await eventually("no machine", async () => (await machines()) === 0)
    await nothingUnknown()
  })
})
