// kill -9 of the process that runs the cloud: it comes back by itself, and what it was told to do is done.
import assert from "node:assert/strict"
import { after, before, describe, test } from "node:test"
import { eventually, TestCloud } from "./cloud.ts"
import { Session } from "./session.ts"

describe("the parent of a cloud's process", () => {
  let cloud: TestCloud

  before(async () => {
    cloud = await TestCloud.start({ hypervisor: "fake", network: "fake" })
  })
  after(async () => await cloud?.[Symbol.asyncDispose]())

  const restartOf = (killed: number) =>
    eventually("another process to run the cloud", async () => {
      const main = await cloud.component("kumoi")
      return main && main.pid !== killed && main
    })

  test("a killed process is started again and answers; engines go on", async () => {
    const demo = await Session.open(cloud, "demo")
    const engine = await cloud.component("postgres")
    const killed = await cloud.mainPid()
    const startedMs = performance.now()
    process.kill(killed, "SIGKILL")
    await eventually("an answer", async () => {
      return (await demo.send("GET", "/compute/v2.1/servers")).status === 200
    })
    process.stdout.write(`# answers again ${Math.round(performance.now() - startedMs)} ms after the kill\n`)
    const main = await restartOf(killed)
    assert.equal(main.restarts, 1)
    assert.equal((await cloud.component("postgres"))?.pid, engine?.pid, "the engine went on")
    assert.equal((await cloud.component("parent"))?.state, "running")
  })

  test("up while it comes back waits for it, and starts no second one", async () => {
    const killed = await cloud.mainPid()
    process.kill(killed, "SIGKILL")
    assert.match(await cloud.up(), /is running already/)
    assert.notEqual(await cloud.mainPid(), killed)
  })

  test("down in the middle of a restart leaves nothing", async () => {
    process.kill(await cloud.mainPid(), "SIGKILL")
    await cloud.kumoi("down")
    assert.deepEqual(await cloud.traces(), [])
    await cloud.up()
  })

  test("without its parent the cloud goes on, says so, and can be stopped", async () => {
    const parent = await cloud.component("parent")
    assert.ok(parent?.pid)
    process.kill(parent.pid, "SIGKILL")
    await eventually("the status to tell", async () => (await cloud.component("parent"))?.state === "gone")
    await cloud.kumoi("down")
    assert.deepEqual(await cloud.traces(), [])
  })
})
