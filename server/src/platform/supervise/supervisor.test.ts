import assert from "node:assert/strict"
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { eventually } from "../clock/clock.ts"
import { identifyProcess, isProcessAlive } from "../exec/process.ts"
import { silentLogger } from "../log/log.ts"
import { type EngineSpec, endLeftEngines, Supervisor } from "./supervisor.ts"

/** An engine that says that it is ready by a file, and takes a second instance for an error as real ones do. */
function sampleEngine(dir: string, name = "sample"): EngineSpec {
  const readyFile = join(dir, `${name}.ready`)
  const program = `require("node:fs").writeFileSync(${JSON.stringify(readyFile)}, String(process.pid)); setInterval(() => {}, 1000)`
  return {
    name,
    command: process.execPath,
    args: ["-e", program],
    logFile: join(dir, `${name}.log`),
    prepare: async () => rmSync(readyFile, { force: true }),
    isReady: async () => existsSync(readyFile),
    stopGraceMs: 2_000,
  }
}

function scratch() {
  const dir = mkdtempSync(join(tmpdir(), "kumoi-supervise-"))
  return { dir, [Symbol.dispose]: () => rmSync(dir, { recursive: true, force: true }) }
}

const pidOf = (supervisor: Supervisor) => supervisor.status()[0]?.pid ?? 0

test("an engine that is killed comes back; stop ends it", async () => {
  using s = scratch()
  const supervisor = new Supervisor({ runDir: s.dir, log: silentLogger })
  await supervisor.start(sampleEngine(s.dir))
  const first = pidOf(supervisor)
  process.kill(first, "SIGKILL")
  const second = await eventually("the engine to be back", () => {
    const status = supervisor.status()[0]
    return status?.state === "running" && status.pid !== first && status.pid
  })
  assert.equal(supervisor.status()[0]?.restarts, 1)
  assert.equal(supervisor.status()[0]?.lastError, "ended by SIGKILL")
  await supervisor.stopAll()
  assert.equal(identifyProcess(second), undefined)
})

test("an engine that ran for long and then cannot start is tried after ever longer pauses", async () => {
  using s = scratch()
  const pauses: number[] = []
  const log = {
    ...silentLogger,
    error: (fields: { waitMs?: number }) => {
      if (fields.waitMs !== undefined) pauses.push(fields.waitMs)
    },
  } as typeof silentLogger
  const supervisor = new Supervisor({ runDir: s.dir, log, stableAfterMs: 50 })
  const isBroken = join(s.dir, "broken")
  const spec = sampleEngine(s.dir)
  const program = `if (require("node:fs").existsSync(${JSON.stringify(isBroken)})) process.exit(1); ${spec.args[1]}`
  await supervisor.start({ ...spec, args: ["-e", program] })
  const since = supervisor.status()[0]?.since ?? ""
  await eventually("it to have run for long", () => Date.now() - Date.parse(since) > 60)
  writeFileSync(isBroken, "")
  process.kill(pidOf(supervisor), "SIGKILL")
  await eventually("four pauses", () => pauses.length >= 4)
  await supervisor.stopAll()
  assert.deepEqual(pauses.slice(0, 4), [100, 200, 400, 800])
})

test("the next supervisor adopts what outlived the first, and watches it", async () => {
  using s = scratch()
  const first = new Supervisor({ runDir: s.dir, log: silentLogger })
  await first.start(sampleEngine(s.dir))
  const pid = pidOf(first)
  first.release()

  const second = new Supervisor({ runDir: s.dir, log: silentLogger })
  await second.start(sampleEngine(s.dir))
  assert.equal(pidOf(second), pid, "the same process goes on")
  process.kill(pid, "SIGKILL")
  await eventually("a new process", () => pidOf(second) !== pid && second.status()[0]?.state === "running")
  await second.stopAll()
})

test("an engine with another command line is replaced", async () => {
  using s = scratch()
  const first = new Supervisor({ runDir: s.dir, log: silentLogger })
  await first.start(sampleEngine(s.dir))
  const before = identifyProcess(pidOf(first))
  first.release()
  const second = new Supervisor({ runDir: s.dir, log: silentLogger })
  const spec = sampleEngine(s.dir)
  await second.start({ ...spec, args: [...spec.args, "changed"] })
  assert.ok(before && !isProcessAlive(before))
  await second.stopAll()
})

test("an engine that does not start says why, with the end of its log", async () => {
  using s = scratch()
  const supervisor = new Supervisor({ runDir: s.dir, log: silentLogger })
  const broken = { ...sampleEngine(s.dir), args: ["-e", 'console.error("no disk left"); process.exit(3)'] }
  await assert.rejects(supervisor.start(broken), /exit code 3[\s\S]*no disk left/)
  const missing = { ...sampleEngine(s.dir, "missing"), command: "/no/such/program" }
  await assert.rejects(supervisor.start(missing), /no\/such\/program/)
})

test("left engines are ended from their state files alone", async () => {
  using s = scratch()
  const supervisor = new Supervisor({ runDir: s.dir, log: silentLogger })
  await supervisor.start(sampleEngine(s.dir))
  const identity = identifyProcess(pidOf(supervisor))
  supervisor.release()
  assert.deepEqual(await endLeftEngines(s.dir, ["sample", "other"]), ["sample"])
  assert.ok(identity && !isProcessAlive(identity))
  assert.deepEqual(await endLeftEngines(s.dir, ["sample"]), [])
})

test("a reused pid is not taken for the engine", async () => {
  using s = scratch()
  const supervisor = new Supervisor({ runDir: s.dir, log: silentLogger })
  await supervisor.start(sampleEngine(s.dir))
  await supervisor.stop("sample")
  const mine = identifyProcess(process.pid)
  assert.ok(mine)
  writeFileSync(
    join(s.dir, "engines/sample.json"),
    JSON.stringify({ identity: { ...mine, startTicks: mine.startTicks - 1 }, command: "x" }),
  )
  assert.deepEqual(
    await endLeftEngines(s.dir, ["sample"]),
    [],
    "this very test process would have been ended",
  )
})
