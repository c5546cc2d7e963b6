// The unit's text, as systemd's own parser reads it, and the command with a directory in place of the machine.
import assert from "node:assert/strict"
import { spawn, spawnSync } from "node:child_process"
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join, resolve } from "node:path"
import { type TestContext, test } from "node:test"
import { eventually } from "../../platform/clock/clock.ts"
import { identifyProcess, isProcessAlive, signalProcess } from "../../platform/exec/process.ts"
import type { Fault } from "../../platform/fault/fault.ts"
import { openCloudDir, writeMainState } from "../cloud-dir.ts"
import { service } from "./service.ts"
import { readUnitData, unitNameOf, unitText, unitWord } from "./unit.ts"

const programDir = resolve(import.meta.dirname, "../../../..")

function temporaryDir(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), "kumoi-service-"))
  t.after(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

const notRunning = {
  root: "/",
  isRunning: false,
  systemctl: async () => assert.fail("systemd was asked where it does not run"),
}

/** What the command prints. */
async function output(t: TestContext, run: () => Promise<number>): Promise<{ code: number; out: string }> {
  let out = ""
  const write = t.mock.method(process.stdout, "write", (text: string) => {
    out += text
    return true
  })
  try {
    return { code: await run(), out }
  } finally {
    write.mock.restore()
  }
}

function setting(text: string, name: string): string | undefined {
  return text
    .split("\n")
    .find((line) => line.startsWith(`${name}=`))
    ?.slice(name.length + 1)
}

function example(dataDir: string, upArgs: string[] = []): string {
  return unitText({ name: "kumoi.service", programDir, dataDir, upArgs, graceSeconds: 40, path: null })
}

test("a stop is a stop of the cloud with the guests' time, a crash leaves them alone", () => {
  const text = example("/srv/cloud")
  const kumoi = `:/bin/sh ${unitWord(join(programDir, "kumoi"))}`
  assert.equal(setting(text, "ExecStart"), `${kumoi} up --data /srv/cloud`)
  assert.equal(setting(text, "ExecStop"), `-${kumoi} down --data /srv/cloud --grace 40`)
  assert.equal(setting(text, "TimeoutStopSec"), "200")
  assert.equal(setting(text, "KillMode"), "process")
  assert.equal(setting(text, "Restart"), "on-failure")
  assert.equal(setting(text, "OOMPolicy"), "continue")
  assert.equal(readUnitData(text), "/srv/cloud")
})

test("blanks, quotes, backslashes and % are what they are", () => {
  assert.equal(unitWord("a b"), '"a b"')
  assert.equal(unitWord("100%"), "100%%")
  assert.equal(unitWord('say "no\\"'), '"say \\"no\\\\\\""')
  assert.equal(unitWord(";"), '";"')
  assert.equal(unitWord(""), '""')
  const text = example("/srv/my %i $HOME cloud")
  assert.match(setting(text, "ExecStart") ?? "", /--data "\/srv\/my %%i \$HOME cloud"$/)
  assert.match(setting(text, "RequiresMountsFor") ?? "", / "\/srv\/my %%i \$HOME cloud"$/)
  assert.equal(readUnitData(text), "/srv/my %i $HOME cloud")
})

test("what a unit cannot hold is refused", () => {
  for (const path of ["/srv/a\nExecStart=/bin/false", '/srv/"', "/srv/\\"])
    assert.throws(() => example(path), { code: "cli.option.invalid" }, path)
  assert.throws(() => example("/srv", ["--config=/etc/\u0000"]), { code: "cli.option.invalid" })
  assert.equal(unitNameOf("b"), "kumoi-b.service")
  for (const name of ["", "../x", "a b", "a@b"])
    assert.throws(() => unitNameOf(name), { code: "cli.option.invalid" })
})

const hasAnalyze = spawnSync("systemd-analyze", ["--version"]).status === 0

test("systemd finds nothing wrong with it", { skip: !hasAnalyze && "no systemd-analyze" }, (t) => {
  const dir = temporaryDir(t)
  const verify = (text: string) => {
    const path = join(dir, "kumoi.service")
    writeFileSync(path, text)
    const run = spawnSync("systemd-analyze", ["verify", "--man=no", "--recursive-errors=no", path], {
      encoding: "utf8",
    })
    return { code: run.status, said: `${run.stdout}${run.stderr}` }
  }
  const dataDir = join(dir, "a cloud at 100% of $HOME")
  const text = example(dataDir, ["--public-url=https://cloud.example/%7Ea", "--tls"])
  assert.deepEqual(verify(text), { code: 0, said: "" })
  assert.match(verify(text.replace("Type=exec", "Type=never")).said, /service type/, "the check can fail")
})

test("install writes the unit once, says what to do, and refuses what it did not write", async (t) => {
  const root = temporaryDir(t)
  const path = join(root, "etc/systemd/system/kumoi.service")
  const install = (...args: string[]) => service(["install", "--root", root, ...args], notRunning)
  const first = await output(t, () =>
    install("--data", "/srv/a", "--port", "5001", "--workers", "2", "--tls"),
  )
  assert.equal(first.code, 0)
  assert.match(
    first.out,
    /wrote .*kumoi\.service\n.*systemctl daemon-reload && systemctl enable --now kumoi\.service/s,
  )
  const text = readFileSync(path, "utf8")
  assert.match(setting(text, "ExecStart") ?? "", /up --data \/srv\/a --port=5001 --tls --workers=2$/)
  assert.equal((await output(t, () => install("--data", "/srv/a"))).code, 0, "the same cloud again")
  await assert.rejects(install("--data", "/srv/b"), { code: "cli.service.other_cloud" })
  assert.equal((await output(t, () => install("--data", "/srv/b", "--name", "b"))).code, 0)
  assert.ok(existsSync(join(dirname(path), "kumoi-b.service")))
  writeFileSync(path, "[Service]\nExecStart=/bin/true\n")
  await assert.rejects(install("--data", "/srv/a"), { code: "cli.service.foreign_unit" })
  await assert.rejects(service(["remove", "--root", root], notRunning), { code: "cli.service.foreign_unit" })
  assert.equal((await output(t, () => install("--data", "/srv/a", "--force"))).code, 0)
  assert.equal(readUnitData(readFileSync(path, "utf8")), "/srv/a")
})

test("a host that joined is a service as a cloud is", async (t) => {
  const root = temporaryDir(t)
  const data = join(root, "host2")
  const membership = { door: "https://10.0.0.1:5443", name: "host2", id: "", address: "10.0.0.2" }
  mkdirSync(data)
  writeFileSync(join(data, "host.json"), JSON.stringify({ ...membership, hypervisor: "auto" }))
  assert.equal(
    (await output(t, () => service(["install", "--root", root, "--data", data], notRunning))).code,
    0,
  )
  const text = readFileSync(join(root, "etc/systemd/system/kumoi.service"), "utf8")
  assert.match(setting(text, "ExecStart") ?? "", /up --data \S+host2$/)
  assert.equal(setting(text, "RestartPreventExitStatus"), "75 78")
  assert.equal((await output(t, () => service(["status", "--root", root], notRunning))).code, 3)
})

test("wrong options are told before anything is written", async (t) => {
  const root = temporaryDir(t)
  for (const args of [
    ["--port", "0"],
    ["--grace", "x"],
    ["--tls-cert", "a"],
    ["--detach"],
    ["--name", "a/b"],
  ])
    await assert.rejects(service(["install", "--root", root, ...args], notRunning), args.join(" "))
  assert.equal(existsSync(join(root, "etc")), false)
})

test("a database that the service would not see is told, and --print only prints", async (t) => {
  const root = temporaryDir(t)
  const before = process.env.DATABASE_URL
  process.env.DATABASE_URL = "postgres://somewhere/kumoi"
  t.after(() => {
    if (before === undefined) delete process.env.DATABASE_URL
    else process.env.DATABASE_URL = before
  })
  await assert.rejects(service(["install", "--root", root], notRunning), (error: Fault) => {
    assert.match(error.message, /DATABASE_URL.*\/etc\/default\/kumoi/)
    return error.code === "cli.service.environment"
  })
  const { out } = await output(t, () => service(["install", "--print", "--data", "x"], notRunning))
  assert.equal(readUnitData(out), resolve("x"))
  assert.doesNotMatch(out, /somewhere/)
  mkdirSync(join(root, "etc/default"), { recursive: true })
  writeFileSync(join(root, "etc/default/kumoi"), "DATABASE_URL=postgres://somewhere/kumoi\n")
  assert.equal((await output(t, () => service(["install", "--root", root], notRunning))).code, 0)
})

test("status and remove: the unit goes, the data stays", async (t) => {
  const root = temporaryDir(t)
  const data = join(root, "cloud")
  mkdirSync(data)
  const run = (action: string, ...args: string[]) =>
    output(t, () => service([action, "--root", root, ...args], notRunning))
  assert.deepEqual((await run("status")).code, 4)
  await assert.rejects(service(["remove", "--root", root], notRunning), { code: "cli.service.no_unit" })
  await run("install", "--data", data)
  const { code, out } = await run("status", "--json")
  assert.equal(code, 3)
  const { dataDir, isOurs, cloud, active } = JSON.parse(out)
  assert.deepEqual(
    { dataDir, isOurs, cloud, active },
    {
      dataDir: data,
      isOurs: true,
      cloud: { state: "stopped", url: null },
      active: null,
    },
  )
  assert.match((await run("remove")).out, /the data stays in/)
  assert.ok(existsSync(data))
  assert.equal((await run("status")).code, 4)
})

/** systemd as far as `service` asks it: the order of the questions is what is tested. */
function recorder(root: string) {
  const asked: string[] = []
  let active = "inactive"
  const systemctl = async (args: readonly string[]) => {
    asked.push(args.join(" "))
    if (args[0] === "is-enabled") return "enabled"
    if (args[0] === "is-active") return active
    active = args[0] === "enable" && args[1] === "--now" ? "active" : active
    return ""
  }
  return { root, isRunning: true, systemctl, asked: () => asked.splice(0) }
}

const needsRoot = { skip: process.getuid?.() !== 0 && "not root" }

test("where systemd runs, install starts the cloud and remove stops it", needsRoot, async (t) => {
  const systemd = recorder(temporaryDir(t))
  const data = join(systemd.root, "cloud")
  const run = (...args: string[]) => output(t, () => service(args, systemd))
  assert.match((await run("install", "--data", data)).out, /started kumoi\.service/)
  const start = ["daemon-reload", "is-active kumoi.service", "enable --now kumoi.service"]
  assert.deepEqual(systemd.asked(), start)
  const again = await run("install", "--data", data, "--workers", "2")
  assert.match(again.out, /goes on with its former options until: systemctl restart/)
  systemd.asked()
  const { code, out } = await run("status")
  assert.equal(code, 3, "the unit is active, the cloud does not answer")
  assert.match(out, /enabled {2}enabled\nactive {3}active\ncloud {4}stopped/)
  systemd.asked()
  await run("remove")
  assert.deepEqual(systemd.asked(), ["disable --now kumoi.service", "daemon-reload"])
})

test("a cloud that was started by hand is not started beside itself", needsRoot, async (t) => {
  const systemd = recorder(temporaryDir(t))
  const data = join(systemd.root, "cloud")
  const identity = identifyProcess(process.pid)
  assert.ok(identity)
  const dir = openCloudDir(data, { canPostgresReach: () => true })
  writeMainState(dir, {
    identity,
    parent: null,
    url: "http://127.0.0.1:1",
    hypervisor: "fake",
    network: "fake",
    startedAt: new Date().toISOString(),
    isReady: true,
  })
  const { out } = await output(t, () => service(["install", "--data", data], systemd))
  assert.match(
    out,
    new RegExp(`runs already \\(process ${process.pid}\\).*\\n.*kumoi down .* && systemctl start`),
  )
  assert.equal(systemd.asked().at(-1), "enable kumoi.service")
})

test("without an action it says which there are", async (t) => {
  const help = await output(t, () => service(["--help"], notRunning))
  assert.match(help.out, /install .*remove .*status/s)
  assert.match((await output(t, () => service(["install", "--help"], notRunning))).out, /--public-url URL/)
  t.mock.method(process.stderr, "write", () => true)
  assert.equal(await service(["start"], notRunning), 2)
})

/** The launcher as the unit runs it, with a command in place of the cloud. */
function launcher(dir: string): string {
  for (const path of ["server/src/launch", "node_modules/node/bin"])
    mkdirSync(join(dir, path), { recursive: true })
  for (const path of ["kumoi", "server/src/launch/watch.sh"])
    writeFileSync(join(dir, path), readFileSync(join(programDir, path)))
  writeFileSync(join(dir, "node_modules/.kumoi-installed"), "")
  const node = join(dir, "node_modules/node/bin/node")
  writeFileSync(node, `#!/bin/sh\necho $$ >${dir}/pid.new\nmv ${dir}/pid.new ${dir}/pid\nexec sleep 60\n`)
  chmodSync(node, 0o755)
  return join(dir, "kumoi")
}

test("under systemd the cloud's process does not outlive its parent", async (t) => {
  const dir = temporaryDir(t)
  const env = { ...process.env, KUMOI_SERVICE: "kumoi.service" }
  const parent = spawn("/bin/sh", [launcher(dir), "up"], { stdio: "ignore", env })
  const gone = new Promise((done) => parent.once("exit", done))
  await eventually("the command to run", () => existsSync(join(dir, "pid")))
  const child = identifyProcess(Number(readFileSync(join(dir, "pid"), "utf8")))
  assert.ok(child)
  t.after(() => void signalProcess(child, "SIGKILL"))
  parent.kill("SIGKILL")
  await gone
  await eventually("its end", () => !isProcessAlive(child))
})
