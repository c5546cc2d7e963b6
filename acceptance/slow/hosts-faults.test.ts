// What may happen to a joined host: its network is cut for seconds and for minutes, its process dies in the middle of
// creations and of a detach. Nothing doubles, nothing is left, and what it was told is so again by itself.
import assert from "node:assert/strict"
import { after, before, describe, test } from "node:test"
import { setTimeout as delay } from "node:timers/promises"
import { eventually, isRoot, TestCloud } from "../cloud.ts"
import { cloudAddress, hostBridges, TestHost } from "../hosts.ts"

interface Found {
  hosts: { host: string; error: string | null; findings: { id: string; kind: string }[] }[]
}

describe("faults of a joined host", { skip: isRoot ? false : "real networks need root" }, () => {
  let cloud: TestCloud
  let host: TestHost

  before(async () => {
    const flags = ["--listen", cloudAddress]
    cloud = await TestCloud.start({ hypervisor: "qemu", network: "ovn", flags, bridges: hostBridges })
    host = await TestHost.make(cloud, 2)
    await host.join()
    await isUp(true)
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

  for (const seconds of [5, 60, 300]) {
    test(`its network is cut for ${seconds} s: its machine runs on, and what was asked for meanwhile is done`, async () => {
      const name = `cut${seconds}`
      await create(name, "--wait")
      const count = await machines()
      await host.pullCable()
      const cutMs = performance.now()
      await create(`${name}-asked`)
      await delay(seconds * 1_000 - (performance.now() - cutMs))
      assert.equal(await machines(), count)
      assert.equal(await statusOf(name), "ACTIVE")
      await host.plugCable()
      await isUp(true)
      await eventually("what was asked for", async () =>
        ["ACTIVE", "ERROR"].includes(await statusOf(`${name}-asked`)),
      )
      await admin("server", "delete", "--wait", name, `${name}-asked`)
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
