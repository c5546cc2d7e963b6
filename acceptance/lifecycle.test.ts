// up, status, down and their like, with simulated machines and networks: what a person at the terminal relies on.
import assert from "node:assert/strict"
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { after, before, describe, test } from "node:test"
import { setTimeout as delay } from "node:timers/promises"
import { eventually, freePort, isRoot, processesOf, run, TestCloud } from "./cloud.ts"
import { environmentOf, Session } from "./session.ts"

const kumoi = resolve(import.meta.dirname, "../kumoi")
const fakes = { hypervisor: "fake", network: "fake" } as const
const fakeFlags = ["--hypervisor", "fake", "--network", "fake"]

describe("a cloud from up to down", () => {
  let cloud: TestCloud
  before(async () => {
    cloud = await TestCloud.start(fakes)
  })
  after(async () => await cloud?.[Symbol.asyncDispose]())

  test("a second up says that it runs, and where", async () => {
    const said = await cloud.up()
    assert.match(said, /running already/)
    assert.match(said, new RegExp(`127\\.0\\.0\\.1:${cloud.port}\\b`))
  })

  test("status names every engine, as text and as JSON", async () => {
    const status = await cloud.status()
    assert.equal(status.state, "running")
    assert.equal(status.url, `http://127.0.0.1:${cloud.port}`)
    for (const name of ["kumoi", "postgres"]) {
      const found = status.components.find((c) => c.name === name)
      assert.equal(found?.state, "running", name)
      assert.ok(found?.pid && statSync(`/proc/${found.pid}`), name)
    }
    assert.match((await cloud.kumoi("status")).stdout, /^postgres +engine +running +\d+ +\d+ MB/m)
  })

  test("credentials are the owner's alone, and the stock client takes them", async () => {
    for (const file of ["clouds.yaml", "passwords.json", "openrc-admin", "openrc-demo"])
      assert.equal(statSync(join(cloud.dataDir, file)).mode & 0o777, 0o600, file)
    assert.match(await cloud.openstack("demo", "network", "list"), /private/)
    for (const user of ["admin", "demo"]) {
      const printed = (await cloud.kumoi("env", "--user", user)).stdout
      const env = environmentOf(printed)
      assert.equal(env.OS_USERNAME, user)
      const token = await run("openstack", ["token", "issue", "-f", "value", "-c", "project_id"], { env })
      assert.match(token.stdout, /^[0-9a-f]{32}\n$/)
    }
  })

  test("no secret is in the logs", () => {
    const secrets: string[] = Object.values(
      JSON.parse(readFileSync(join(cloud.dataDir, "passwords.json"), "utf8")),
    )
    assert.ok(secrets.length >= 2)
    const logs = ["kumoi.log", "kumoi.out"].map((f) => readFileSync(join(cloud.dataDir, "log", f), "utf8"))
    for (const secret of secrets) assert.ok(!logs.join("").includes(secret))
  })

  test("killed PostgreSQL is back by itself; requests wait or are told 503, then work", async () => {
    const session = await Session.open(cloud, "demo")
    const killed = await cloud.component("postgres")
    assert.ok(killed?.pid)
    const mainPid = await cloud.mainPid()
    const seen = new Set<number>()
    const list = async () => {
      const { status } = await session.send("GET", "/compute/v2.1/servers")
      seen.add(status)
      return status
    }
    // Connections to the database are in use at the moment of the kill.
    const isOver = new AbortController()
    const clients = Array.from({ length: 8 }, async () => {
      // Paced, so that the requests do not hold up the recovery that they wait for.
      while (!isOver.signal.aborted) await list().then(() => delay(20))
    })
    process.kill(killed.pid, "SIGKILL")
    const startedMs = performance.now()
    try {
      await eventually("another PostgreSQL to run, and answers from it", async () => {
        const now = await cloud.component("postgres")
        return now?.state === "running" && now.pid !== killed.pid && (await list()) === 200
      })
    } finally {
      isOver.abort()
      await Promise.all(clients)
    }
    process.stdout.write(`# PostgreSQL was back in ${Math.round(performance.now() - startedMs)} ms\n`)
    assert.ok(seen.delete(200))
    seen.delete(503)
    assert.deepEqual([...seen], [], "other answers than 200 and 503")
    assert.equal(await cloud.mainPid(), mainPid, "the cloud's own process went on")
    await session.untilStatus(await session.createServer({ name: "after-the-kill" }), "ACTIVE")
  })

  test("down leaves nothing; up goes on with everything that was there", async () => {
    const admin = await Session.open(cloud, "admin")
    const demo = await Session.open(cloud, "demo")
    const ann = { name: "ann", password: "s3cret-of-ann" }
    await admin.must("POST", "/identity/v3/users", { user: ann })
    await demo.must("POST", "/network/v2.0/networks", { network: { name: "kept" } })
    const running = await demo.createServer({ name: "running" })
    const stopped = await demo.createServer({ name: "stopped" })
    await demo.untilStatus(running, "ACTIVE")
    await demo.untilStatus(stopped, "ACTIVE")
    await demo.act(stopped, "os-stop")
    await demo.untilStatus(stopped, "SHUTOFF")

    await cloud.kumoi("down")
    assert.deepEqual(await cloud.traces(), [])
    assert.equal((await cloud.status()).state, "stopped")

    const said = await cloud.up()
    assert.match(said, /Kumoi is running \(\d+\.\d s\)/)
    assert.match(said, new RegExp(`dashboard +http://127\\.0\\.0\\.1:${cloud.port}/dashboard`))
    assert.match(said, /credentials .*clouds\.yaml/)
    // The tokens of before are good: their keys are kept.
    assert.equal((await admin.get("/identity/v3/users?name=ann")).users.length, 1)
    assert.equal((await demo.get("/network/v2.0/networks?name=kept")).networks.length, 1)
    await demo.untilStatus(running, "ACTIVE")
    assert.equal((await demo.server(stopped)).status, "SHUTOFF")
    await eventually("the guest to run again", async () => {
      return (await demo.server(running))["OS-EXT-STS:power_state"] === 1
    })
    await demo.act(stopped, "os-start")
    await demo.untilStatus(stopped, "ACTIVE")
  })

  test("down clears away what a killed process left", async () => {
    await cloud.killForGood()
    await eventually("the process to be gone", async () => (await cloud.status()).state === "stopped")
    assert.notDeepEqual(await cloud.traces(), [], "PostgreSQL outlives the process")
    await cloud.kumoi("down")
    assert.deepEqual(await cloud.traces(), [])
    await cloud.up()
  })

  test("down while an engine is on its way back leaves nothing", async () => {
    const postgres = await cloud.component("postgres")
    assert.ok(postgres?.pid)
    process.kill(postgres.pid, "SIGKILL")
    await cloud.kumoi("down")
    assert.deepEqual(await cloud.traces(), [])
    await cloud.up()
  })

  test("in the foreground ctrl-C stops it, also in the middle of its start", async () => {
    await cloud.kumoi("down")
    for (const moment of [/starting PostgreSQL/, /starting the control plane/, /Press ctrl-C/]) {
      const args = ["up", "--data", cloud.dataDir, "--port", String(cloud.port), ...fakeFlags]
      const child = cloud.spawnInside(kumoi, args)
      const ended = new Promise<number | null>((done) => child.once("exit", (code) => done(code)))
      let said = ""
      const isSaid = new Promise<void>((done) =>
        child.stdout.on("data", (piece) => {
          said += piece
          if (moment.test(said)) done()
        }),
      )
      await Promise.race([isSaid, ended])
      assert.match(said, moment)
      child.kill("SIGINT")
      const code = await ended
      assert.deepEqual(await cloud.traces(), [], String(moment))
      assert.equal(code, moment.test("Press ctrl-C") ? 0 : 1)
    }
    await cloud.up()
  })

  test("down --purge removes the data; down without a cloud says so", async () => {
    const { cloudId } = JSON.parse(readFileSync(join(cloud.dataDir, "cloud.json"), "utf8"))
    await cloud.kumoi("down", "--purge")
    for (const path of [cloud.dataDir, `/var/lib/kumoi-${cloudId}`, `/run/kumoi-${cloudId}`])
      assert.throws(() => statSync(path), /ENOENT/, path)
    assert.deepEqual(processesOf(cloud.dataDir, `kumoi-${cloudId}`), [])
    const again = await run(kumoi, ["down", "--data", cloud.dataDir], { isChecked: false })
    assert.equal(again.exitCode, 1)
    assert.match(again.stdout, /There is no cloud in/)
    const status = await run(kumoi, ["status", "--data", cloud.dataDir], { isChecked: false })
    assert.equal(status.exitCode, 3)
    assert.match(status.stdout, /not running.*\.\/kumoi up/)
  })
})

describe("two clouds on one machine", () => {
  let first: TestCloud
  let second: TestCloud
  before(async () => {
    first = await TestCloud.start(fakes)
    second = await TestCloud.start(fakes)
  })
  after(async () => {
    await first?.[Symbol.asyncDispose]()
    await second?.[Symbol.asyncDispose]()
  })

  test("they share nothing", async () => {
    const one = await Session.open(first, "demo")
    const two = await Session.open(second, "demo")
    await one.untilStatus(await one.createServer({ name: "only-here" }), "ACTIVE")
    assert.deepEqual((await two.get("/compute/v2.1/servers")).servers, [])
    const env = environmentOf((await run(kumoi, ["env", "--data", first.dataDir])).stdout)
    await assert.rejects(Session.logIn(`http://127.0.0.1:${second.port}`, env), /answered 401/)
  })

  test("a taken port is said in words, and nothing is left", async () => {
    const dir = mkdtempSync(join(tmpdir(), "kumoi-taken-"))
    try {
      const args = ["up", "--detach", "--yes", "--data", dir, "--port", String(first.port), ...fakeFlags]
      const result = await run(kumoi, args, { isChecked: false })
      assert.equal(result.exitCode, 1)
      assert.match(result.stderr, new RegExp(`127\\.0\\.0\\.1:${first.port} is taken.*--port N`))
      assert.doesNotMatch(result.stderr, /^\s+at /m, "no stack trace")
      assert.deepEqual(processesOf(dir), [])
    } finally {
      rmSync(dir, { recursive: true, force: true })
    }
    await Session.open(first, "demo")
  })

  test("the end of one is not felt by the other", async () => {
    const session = await Session.open(second, "demo")
    await first.kumoi("down")
    assert.equal((await session.send("GET", "/compute/v2.1/servers")).status, 200)
    assert.equal((await second.component("postgres"))?.restarts, 0)
  })
})

describe("wrong words on the command line", () => {
  let dir: string
  before(() => {
    dir = mkdtempSync(join(tmpdir(), "kumoi-words-"))
  })
  after(async () => {
    // A start that came as far as its configuration has made its directories.
    await run(kumoi, ["down", "--purge", "--data", join(dir, "cloud")])
    rmSync(dir, { recursive: true, force: true })
  })

  const badConfig = (text: string) => {
    const path = join(dir, "bad.yaml")
    writeFileSync(path, text)
    return path
  }
  const cases: [what: string, args: () => string[], says: RegExp][] = [
    ["a port that is no number", () => ["--port", "five"], /--port five: use a whole number from 1 to 65535/],
    ["a port out of range", () => ["--port", "70000"], /--port 70000: use a whole number/],
    ["an unknown hypervisor", () => ["--hypervisor", "xen"], /--hypervisor xen: use one of auto, qemu, fake/],
    [
      "an unknown network",
      () => ["--network", "token-ring"],
      /--network token-ring: use one of auto, ovn, fake/,
    ],
    ["an unknown option", () => ["--wings"], /--wings/],
    ["an option without its value", () => ["--port"], /--port/],
    ["an address that is not here", () => ["--listen", "192.0.2.1", ...fakeFlags], /192\.0\.2\.1/],
    [
      "a configuration that is not there",
      () => ["--config", "/no/such.yaml", ...fakeFlags],
      /\/no\/such\.yaml/,
    ],
    [
      "an unknown section",
      () => ["--config", badConfig("wings: 2\n"), ...fakeFlags],
      /section wings.*sections are/,
    ],
    [
      "a value of the wrong type",
      () => ["--config", badConfig("compute: {cpuAllocationRatio: much}\n"), ...fakeFlags],
      /compute\.cpuAllocationRatio/,
    ],
    ["data below a file", () => ["--data", join(badConfig("x"), "below"), ...fakeFlags], /bad\.yaml/],
  ]
  for (const [what, args, says] of cases) {
    test(what, async () => {
      const data = join(dir, "cloud")
      const port = String(await freePort())
      const all = ["up", "--detach", "--yes", "--data", data, "--port", port, ...args()]
      const result = await run(kumoi, all, { isChecked: false })
      assert.notEqual(result.exitCode, 0)
      assert.match(result.stderr, says)
      assert.doesNotMatch(result.stderr, /^\s+at /m, "a sentence and no stack trace")
      assert.deepEqual(processesOf(dir), [])
    })
  }

  test("an unknown command lists those that are", async () => {
    const result = await run(kumoi, ["fly"], { isChecked: false })
    assert.equal(result.exitCode, 2)
    assert.match(result.stderr, /no command "fly"[\s\S]*doctor/)
  })
})

describe("routes and doctor", () => {
  test("what it prints comes whole to who reads slowly, and may be read in part", async () => {
    const slow = await run("sh", ["-c", `${kumoi} routes --json | { sleep 1; cat; }`])
    assert.ok(slow.stdout.length > 64 * 1024)
    JSON.parse(slow.stdout)
    const some = await run("sh", ["-c", `${kumoi} routes | head -n 1`])
    assert.equal(some.stderr, "")
  })

  test("routes --json lists operations of every API with the version's path", async () => {
    type Route = { service: string; method: string; path: string; actions?: string[] }
    const routes: Route[] = JSON.parse((await run(kumoi, ["routes", "--json"])).stdout)
    for (const service of ["identity", "compute", "image", "network", "placement"])
      assert.ok(
        routes.some((r) => r.service === service),
        service,
      )
    const action = routes.find((r) => r.path.endsWith("/action") && r.service === "compute")
    assert.ok(action?.actions?.includes("os-stop"))
  })

  test("doctor judges this machine and names a fix for what is wanting", async () => {
    const asked = await run(kumoi, ["doctor", "--json"], { isChecked: false })
    type Finding = { what: string; state: string; text: string; fix: string | null }
    const findings: Finding[] = JSON.parse(asked.stdout)
    for (const what of ["node", "postgresql", "root", "packages", "acceleration", "disk", "memory"])
      assert.ok(
        findings.some((f) => f.what === what),
        what,
      )
    for (const f of findings.filter((each) => each.state === "missing")) assert.ok(f.fix, f.what)
    const isMissing = findings.some((f) => f.state === "missing")
    assert.equal(asked.exitCode, isMissing ? 1 : 0)
  })
})

describe("without root", { skip: isRoot ? false : "is covered by every other test then" }, () => {
  const nobody = ["--reuid", "nobody", "--regid", "nogroup", "--clear-groups"]
  let dir: string
  const asNobody = (...args: string[]) =>
    run("setpriv", [...nobody, kumoi, ...args, "--data", join(dir, "cloud")], {
      isChecked: false,
      env: { HOME: dir, NODE_COMPILE_CACHE: join(dir, "compile") },
    })
  before(async () => {
    dir = mkdtempSync(join(tmpdir(), "kumoi-nobody-"))
    mkdirSync(join(dir, "cloud"))
    await run("chown", ["-R", "nobody:nogroup", dir])
  })
  after(async () => {
    await asNobody("down", "--purge")
    rmSync(dir, { recursive: true, force: true })
  })

  test("a cloud runs, simulated, and says what root would add", async () => {
    const port = await freePort()
    const up = await asNobody("up", "--detach", "--port", String(port))
    assert.equal(up.exitCode, 0, `${up.stdout}${up.stderr}`)
    assert.match(up.stdout, /Not root: machines and networks are simulated.*As root/)
    const env = environmentOf((await asNobody("env", "--user", "demo")).stdout)
    const session = await Session.logIn(`http://127.0.0.1:${port}`, env)
    await session.untilStatus(await session.createServer({ name: "unprivileged" }), "ACTIVE")
    const owners = await run("ps", [
      "-o",
      "user=",
      "-p",
      processesOf(dir)
        .map((p) => p.split(" ")[0])
        .join(","),
    ])
    assert.deepEqual([...new Set(owners.stdout.trim().split(/\s+/))], ["nobody"])
    assert.equal((await asNobody("down")).exitCode, 0)
    assert.deepEqual(processesOf(dir), [])
  })

  test("a real network is refused with the way out", async () => {
    const result = await asNobody("up", "--detach", "--network", "ovn")
    assert.equal(result.exitCode, 1)
    assert.match(result.stderr, /needs root.*--network fake/)
    assert.deepEqual(processesOf(dir), [])
  })
})
