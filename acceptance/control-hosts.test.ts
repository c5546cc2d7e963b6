// Two control hosts, one cloud: one works, the other stands by and takes its place, whether the first is killed or
// stands still; what comes back stands by.
import assert from "node:assert/strict"
import { after, before, describe, test } from "node:test"
import { eventually, isRoot, TestCloud } from "./cloud.ts"
import { hostsBy, type Kumoi, SharedGround } from "./control-hosts.ts"
import { cloudAddress, hostBridges, TestHost } from "./hosts.ts"
import { Session } from "./session.ts"

const simulated = ["--hypervisor", "fake", "--network", "fake"]

describe("two control hosts", { skip: isRoot ? false : "network namespaces need root" }, () => {
  let ground: SharedGround
  let cloud: TestCloud
  let second: TestHost
  let third: TestHost

  before(async () => {
    ground = await SharedGround.make()
    const { env } = ground
    cloud = await TestCloud.start({
      ...{ hypervisor: "fake", network: "fake", isApart: true, bridges: hostBridges, env },
      flags: ["--listen", cloudAddress],
    })
    // What they need comes over the door, and not from the environment.
    second = await TestHost.make(cloud, 2, { DATABASE_URL: "" })
    third = await TestHost.make(cloud, 3, { DATABASE_URL: "" })
  })
  after(async () => {
    await third?.[Symbol.asyncDispose]()
    await second?.[Symbol.asyncDispose]()
    await cloud?.[Symbol.asyncDispose]()
    await ground?.[Symbol.asyncDispose]()
  })

  const first: Kumoi = (...asked) => cloud.kumoi(...asked)
  const other: Kumoi = (...asked) => second.kumoi(...asked)
  const controlOf = async (kumoi: Kumoi, name: string) =>
    (await hostsBy(kumoi)).find((host) => host.name === name)?.control
  const ownName = async (kumoi: Kumoi) =>
    (await hostsBy(kumoi)).find(({ control }) => control === "works")?.name ?? assert.fail("nobody works")
  const works = (what: string, kumoi: Kumoi) =>
    eventually(what, async () => (await hostsBy(kumoi)).some(({ control }) => control === "works"), {
      everyMs: 100,
    })
  /** A server on the third host, which has found the control host that works. */
  async function makesServer(name: string, dataDir: string): Promise<void> {
    const session = await Session.open(cloud, "admin", dataDir)
    const id = await eventually(`${name} to be taken`, () => session.createServer({ name, host: "host3" }))
    await session.untilStatus(id, "ACTIVE")
  }

  test("a control host joins with a token of its own kind, and stands by", async () => {
    const wrong = await third.join("--control").catch(String)
    assert.match(String(wrong), /--control is for token/)
    assert.match(await second.joinAsControl(...simulated), /This control host stands by/)
    await third.join("--hypervisor", "fake")
    await eventually("both to be there", async () => (await controlOf(first, "host2")) === "stands by")
    assert.match(await other("host", "list").then(() => "", String), /stands by; \S+ works: ask there/)
    await makesServer("before", cloud.dataDir)
  })

  test("the first is killed with all that belongs to it: the second works, and the hosts find it", async () => {
    const own = await ownName(first)
    await cloud.killForGood()
    await works("the second to work", other)
    assert.equal(await controlOf(other, own), "away")
    await makesServer("after", second.dataDir)
    const session = await Session.open(cloud, "admin", second.dataDir)
    const { servers } = await session.get("/compute/v2.1/servers/detail")
    assert.deepEqual(
      servers.map(({ name, status }: { name: string; status: string }) => `${name} ${status}`).sort(),
      ["after ACTIVE", "before ACTIVE"],
    )
    // It comes back, and there is somebody who works.
    assert.match(await cloud.up(), /This control host stands by .*host2 works/)
    await eventually("the first to stand by", async () => (await controlOf(other, own)) === "stands by")
  })

  test("one that stands still is replaced, and ends when it goes on", async () => {
    const { components } = JSON.parse((await other("status", "--json")).stdout)
    const pid = components.find(({ name }: { name: string }) => name === "kumoi").pid
    process.kill(pid, "SIGSTOP")
    try {
      await works("the first to work", first)
      await makesServer("while-frozen", cloud.dataDir)
    } finally {
      process.kill(pid, "SIGCONT")
    }
    // Its parent has started it again.
    await eventually("the second to stand by", async () => (await controlOf(first, "host2")) === "stands by")
    await makesServer("in-the-end", cloud.dataDir)
  })
})
