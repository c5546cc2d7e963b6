// kill -9 of Kumoi, of a guest and of each engine of the network, under real machines: guests go on, keep their
// addresses, and are reached again within seconds.
import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { after, before, describe, test } from "node:test"
import { eventually, isRoot, processesOf, sshOptions, TestCloud } from "./cloud.ts"
import { explained } from "./explain.ts"
import { Session } from "./session.ts"

const names = ["one", "two", "three"]
type Name = (typeof names)[number]

describe("kill -9 under real machines", {
  skip: isRoot ? false : "real machines and networks need root",
}, () => {
  let cloud: TestCloud
  let demo: Session
  const ids = new Map<Name, string>()
  const floatingIps = new Map<Name, string>()
  const keyFile = () => join(cloud.dataDir, "test-key")

  const idOf = (name: Name) => ids.get(name) ?? assert.fail(`${name} was not made`)
  const addressOf = (name: Name) => floatingIps.get(name) ?? assert.fail(`${name} has no floating IP`)
  const untilStatus = (name: Name, status: string) => demo.untilStatus(idOf(name), status)
  const consoleOf = (name: Name) => demo.consoleOf(idOf(name))
  const untilBooted = (name: Name) =>
    eventually(`${name} to have booted`, async () => (await consoleOf(name)).includes("kumoi guest ready"))
  const ssh = async (address: string, command: string) => {
    const args = ["-i", keyFile(), ...sshOptions, `cirros@${address}`, command]
    return (await cloud.inside("ssh", args, { timeoutMs: 60_000 })).stdout.trim()
  }
  const untilAnswers = (name: Name) => {
    const hasAnswered = async () => (await ssh(addressOf(name), "hostname")) === name
    const guest = { serverId: idOf(name), address: addressOf(name) }
    return explained(cloud, guest, () => eventually(`ssh to ${name}`, hasAnswered))
  }

  /** Process of each server's machine: pid and start time, which no other process has. */
  const machines = (): Record<string, string> => {
    const found: Record<string, string> = {}
    for (const line of processesOf(cloud.dataDir).filter((l) => / \S*qemu-system/.test(l))) {
      const [pid = ""] = line.split(" ")
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
      const startTicks = stat.slice(stat.lastIndexOf(")")).split(" ")[20]
      const name = names.find((n) => ids.has(n) && line.includes(idOf(n)))
      if (name) found[name] = `${pid} ${startTicks}`
    }
    return found
  }
  const machinePid = (name: Name) => Number(machines()[name]?.split(" ")[0])

  async function makeFloatingIp(name: Name): Promise<void> {
    floatingIps.set(name, await demo.giveFloatingIp(idOf(name)))
  }

  before(async () => {
    cloud = await TestCloud.start({ hypervisor: "qemu", network: "ovn" })
    demo = await Session.open(cloud, "demo")
  })
  after(async () => await cloud?.[Symbol.asyncDispose]())

  test("killed while guests boot: up takes over the same machines", async () => {
    await demo.createKey("key", keyFile())
    await demo.letIn()
    for (const name of names) ids.set(name, await demo.createServer({ name, key_name: "key" }))
    await eventually("three machines", async () => Object.keys(machines()).length === 3)
    const before_ = machines()
    process.kill(await cloud.mainPid(), "SIGKILL")
    const startedMs = performance.now()
    await cloud.up()
    process.stdout.write(`# up again in ${Math.round(performance.now() - startedMs)} ms\n`)
    for (const name of names) await untilStatus(name, "ACTIVE")
    assert.deepEqual(machines(), before_)
    for (const name of names) {
      await untilBooted(name)
      assert.equal((await consoleOf(name)).split("Linux version").length, 2, `${name} booted once`)
    }
    assert.deepEqual(machines(), before_)
  })

  test("a killed machine is a server that is SHUTOFF, and starts again", async () => {
    process.kill(machinePid("three"), "SIGKILL")
    const startedMs = performance.now()
    await untilStatus("three", "SHUTOFF")
    process.stdout.write(`# SHUTOFF after ${Math.round(performance.now() - startedMs)} ms\n`)
    await demo.act(idOf("three"), "os-start")
    await untilStatus("three", "ACTIVE")
    assert.ok(machinePid("three") > 0)
    // Nothing more is asked of it, and an emulated guest that boots keeps a processor busy.
    await demo.deleteServer(idOf("three"))
  })

  describe("each engine of the network comes back by itself", () => {
    let address = ""
    let fixedIp = ""
    before(async () => {
      await makeFloatingIp("one")
      address = addressOf("one")
      const { private: addresses = [] } = (await demo.server(idOf("one"))).addresses
      fixedIp = addresses[0]?.addr ?? assert.fail("no fixed address")
      await untilAnswers("one")
    })

    for (const engine of [
      "ovs-vswitchd",
      "ovn-controller",
      "ovn-northd",
      "ovsdb-ovs",
      "ovsdb-nb",
      "ovsdb-sb",
    ]) {
      test(engine, async () => {
        const killed = await cloud.component(engine)
        assert.ok(killed?.pid, "it runs before")
        const startedMs = performance.now()
        process.kill(killed.pid, "SIGKILL")
        await eventually(`${engine} to run again`, async () => {
          const now = await cloud.component(engine)
          return now?.state === "running" && now.pid !== killed.pid
        })
        const backMs = performance.now() - startedMs
        await eventually("the guest to answer", async () => {
          return await cloud.inside("ping", ["-c", "1", "-W", "1", address])
        })
        process.stdout.write(
          `# ${engine}: runs after ${Math.round(backMs)} ms, ping after ${Math.round(performance.now() - startedMs)} ms\n`,
        )
        const addresses = await eventually("ssh", async () => await ssh(address, "ip -4 -o addr"))
        assert.ok(addresses.includes(` ${fixedIp}/`), `${addresses} has no ${fixedIp}`)
      })
    }

    test("and what is asked for after that is done: another floating IP, all the way", async () => {
      await makeFloatingIp("two")
      await untilAnswers("two")
    })
  })

  test("the metadata service's proxy comes back too", async () => {
    const killed = await cloud.component("metadata-proxy")
    assert.ok(killed?.pid)
    process.kill(killed.pid, "SIGKILL")
    const asked = "wget -q -T 3 -O - http://169.254.169.254/openstack/latest/meta_data.json"
    const answer = await eventually("metadata", async () => await ssh(addressOf("one"), asked))
    assert.equal(JSON.parse(answer).name, "one")
    assert.notEqual((await cloud.component("metadata-proxy"))?.pid, killed.pid)
  })

  test("down leaves nothing on the machine; up starts the guests again, at their addresses", async () => {
    await cloud.kumoi("down")
    assert.deepEqual(await cloud.traces(), [])
    const startedMs = performance.now()
    await cloud.up()
    for (const name of ["one", "two"]) await untilAnswers(name)
    process.stdout.write(`# ssh works ${Math.round(performance.now() - startedMs)} ms after up began\n`)
  })

  test("down clears away what a killed process left: machines, engines, the network", async () => {
    await cloud.killForGood()
    await eventually("the process to be gone", async () => (await cloud.status()).state === "stopped")
    assert.ok((await cloud.traces()).length > 5, "they outlive it")
    await cloud.kumoi("down")
    assert.deepEqual(await cloud.traces(), [])
  })
})
