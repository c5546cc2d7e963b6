// kill -9 of the process that runs the cloud: it comes back by itself, and what it was told to do is done.
import assert from "node:assert/strict"
import { resolve } from "node:path"
import { after, before, describe, test } from "node:test"
import { eventually, run, TestCloud } from "./cloud.ts"
import { Session } from "./session.ts"

const kumoi = resolve(import.meta.dirname, "../kumoi")

describe("the parent of a cloud's process", () => {
  let cloud: TestCloud

  before(async () => {
    cloud = await TestCloud.start({ hypervisor: "fake", network: "fake" })
  })
  after(async () => await cloud?.[Symbol.asyncDispose]())

  const status = () => run(kumoi, ["status", "--data", cloud.dataDir], { isChecked: false })
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

  test("status while the process or the database is away says so, and no stack", async () => {
    const killed = await cloud.mainPid()
    process.kill(killed, "SIGKILL")
    const away = await status()
    assert.match(away.stdout, /is being started|^Kumoi at/)
    await restartOf(killed)
    const engine = await cloud.component("postgres")
    assert.ok(engine?.pid)
    process.kill(engine.pid, "SIGKILL")
    const seen = new Set<string>()
    await eventually("all to be well", async () => {
      const { stdout, stderr, exitCode } = await status()
      assert.equal(stderr, "")
      for (const line of stdout.match(/^(database|postgres) .*/gm) ?? []) seen.add(line)
      return exitCode === 0 && (await cloud.component("postgres"))?.pid !== engine.pid
    })
    process.stdout.write(`# seen meanwhile:\n${[...seen].map((line) => `#   ${line}\n`).join("")}`)
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
