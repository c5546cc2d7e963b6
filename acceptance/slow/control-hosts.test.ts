// Two control hosts with real networks and machines: what guests and users see when the one that works is lost with all
// that it runs, and how long.
import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { after, before, describe, test } from "node:test"
import { eventually, isRoot, processesOf, sshOptions, TestCloud } from "../cloud.ts"
import { hostsBy, type Kumoi, SharedGround } from "../control-hosts.ts"
import { cloudAddress, hostBridges, TestHost } from "../hosts.ts"
import { Session } from "../session.ts"

describe("control hosts with real networks", { skip: isRoot ? false : "real networks need root" }, () => {
  let ground: SharedGround
  let cloud: TestCloud
  let second: TestHost
  const computes: TestHost[] = []
  const keyFile = () => join(cloud.dataDir, "test-key")

  before(async () => {
    ground = await SharedGround.make()
    const { env } = ground
    const flags = ["--listen", cloudAddress]
    cloud = await TestCloud.start({ hypervisor: "qemu", network: "ovn", flags, bridges: hostBridges, env })
    second = await TestHost.make(cloud, 2, { DATABASE_URL: "" })
    for (const number of [3, 4]) computes.push(await TestHost.make(cloud, number, { DATABASE_URL: "" }))
  })
  after(async () => {
    for (const host of [...computes, second]) await host?.[Symbol.asyncDispose]()
    await cloud?.[Symbol.asyncDispose]()
    await ground?.[Symbol.asyncDispose]()
  })

  const first: Kumoi = (...asked) => cloud.kumoi(...asked)
  const other: Kumoi = (...asked) => second.kumoi(...asked)
  const host = async (kumoi: Kumoi, name: string) => (await hostsBy(kumoi)).find((each) => each.name === name)

  test("guests on two other hosts speak with each other on and on", async () => {
    await second.joinAsControl()
    for (const compute of computes) await compute.join(...(compute === computes[0] ? ["--public"] : []))
    await eventually("all hosts to be up", async () => {
      const all = await hostsBy(first)
      return all.length === 4 && all.every(({ state }) => state === "up")
    })
    assert.equal((await host(first, "host2"))?.control, "stands by")
    const session = await Session.open(cloud, "admin")
    await session.createKey("key", keyFile())
    await session.letIn()
    const ids = new Map<string, string>()
    for (const on of ["host3", "host4"])
      ids.set(on, await session.createServer({ name: `vm-${on}`, host: on, key_name: "key" }))
    for (const id of ids.values()) await session.untilStatus(id, "ACTIVE")
    for (const [on, id] of ids) addresses.set(on, await session.giveFloatingIp(id))
    const server = await session.server(ids.get("host4") ?? "")
    fixed = server.addresses.private?.find(({ addr }) => addr.startsWith("10."))?.addr ?? ""
  })

  const addresses = new Map<string, string>()
  let fixed = ""

  const sshArgs = (command: string) => [
    ...["-i", keyFile(), ...sshOptions, `cirros@${addresses.get("host3")}`],
    command,
  ]
  const ssh = async (command: string) =>
    (await cloud.inside("ssh", sshArgs(command), { timeoutMs: 60_000 })).stdout
  /** The public network is where a control host is that works. */
  const sshFromSecond = async (command: string) =>
    (await second.inside("ssh", sshArgs(command), { timeoutMs: 60_000 })).stdout

  test("all of the first control host is killed", async (t) => {
    await eventually("the guest", () => ssh("echo there"))
    // As the guest sees it: each ping that was answered, with its number.
    await ssh(`(ping -i 0.2 ${fixed} > pings 2>&1 &) < /dev/null > /dev/null 2>&1`)
    await eventually("pings", async () => (await ssh("cat pings")).includes("seq=20"))
    const own = (await hostsBy(first)).find(({ control }) => control === "works")?.name ?? ""
    const startedMs = performance.now()
    killAll(cloud)
    const sinceMs = () => Math.round(performance.now() - startedMs)
    const url = "http://10.99.0.2:5000/healthz"
    await eventually(
      "the second to answer",
      async () => (await second.inside("curl", ["-sf", "-m", "1", url])).exitCode === 0,
      { everyMs: 50 },
    )
    const answeredMs = sinceMs()
    const session = await Session.open(cloud, "admin", second.dataDir)
    const id = await eventually("a server", () => session.createServer({ name: "after", host: "host4" }))
    await session.untilStatus(id, "ACTIVE")
    const activeMs = sinceMs()
    // Long enough for what the network would do wrong late.
    const sent = async () => Number(/.*seq=(\d+)/s.exec(await sshFromSecond("cat pings"))?.[1])
    const before = await eventually("the guest by its floating IP", sent)
    const outsideMs = sinceMs()
    await eventually("more pings", async () => (await sent()) > before + 100)
    const told = await sshFromSecond("pkill -INT ping; sleep 1; cat pings")
    const seen = [...told.matchAll(/seq=(\d+)/g)].map(([, number]) => Number(number))
    const gaps = seen.slice(1).map((number, at) => number - (seen[at] ?? number) - 1)
    const longestMs = Math.max(...gaps) * 200
    t.diagnostic(
      `the API answered after ${answeredMs} ms, a new server was ACTIVE after ${activeMs} ms, the floating IP ` +
        `answered after ${outsideMs} ms; between guests ${gaps.reduce((a, b) => a + b)} of ${seen.at(-1)} pings ` +
        `were lost, the longest gap was ${longestMs} ms`,
    )
    assert.ok(longestMs <= 2_000, `guests did not hear each other for ${longestMs} ms`)
    assert.equal((await host(other, own))?.control, "away")
  })

  test("it comes back and stands by, with its guests and its copy of the network", async () => {
    assert.match(await cloud.up(), /stands by .*host2 works/)
    await eventually("all to be up", async () => (await hostsBy(other)).every(({ state }) => state === "up"))
    const own = (await hostsBy(other)).find(({ control }) => control === "stands by")?.name ?? ""
    for (const database of ["nb", "sb"])
      await eventually(`a copy of ${database}`, async () => {
        const { cloudId } = JSON.parse(readFileSync(join(cloud.dataDir, "cloud.json"), "utf8"))
        const control = `/run/kumoi-${cloudId}/ovsdb-${database}.ctl`
        const asked = ["-t", control, "ovsdb-server/sync-status"]
        return (await cloud.inside("ovs-appctl", asked)).stdout.includes("replicating")
      })
    const session = await Session.open(cloud, "admin", second.dataDir)
    const id = await session.createServer({ name: "on-the-first", host: own, key_name: "key" })
    await session.untilStatus(id, "ACTIVE")
  })
})

/** kill -9 of everything on its host but this machine's own. */
function killAll(cloud: TestCloud): void {
  const { cloudId } = JSON.parse(readFileSync(join(cloud.dataDir, "cloud.json"), "utf8"))
  const pids = processesOf(cloud.dataDir, `kumoi-${cloudId}`).map((line) => Number(line.split(" ")[0]))
  for (const pid of pids) process.kill(pid, "SIGKILL")
}
