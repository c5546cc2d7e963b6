// The agent's process is killed at any moment; the machines run on, and the next agent takes them up.
import assert from "node:assert/strict"
import { type ChildProcess, spawn } from "node:child_process"
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, afterEach, before, test } from "node:test"
import { eventually, systemClock } from "../platform/clock/clock.ts"
import { newUuid } from "../platform/ids/ids.ts"
import { silentLogger } from "../platform/log/log.ts"
import { runDirectory } from "./hypervisor/qemu/run-directory.ts"
import { agentDirectories } from "./machine-store.ts"
import { makeQemuAgent, type QemuAgent, tinySpec } from "./testing/qemu-agent.ts"
import { makeTinyGuest, type TinyGuest, typeOnSerial } from "./testing/tiny-guest.ts"

const dataDir = mkdtempSync(join(tmpdir(), "kumoi-agent-kill-"))
const program = join(import.meta.dirname, "testing", "agent-process.ts")
const fence = { generation: 1, fence: 1 }
const last = { generation: 1000, fence: 1 }
let guest: TinyGuest

before(async () => {
  guest = await makeTinyGuest(dataDir)
})
after(() => rmSync(dataDir, { recursive: true }))

// Whatever a failed test left: agents would keep this process alive, machines would outlive it.
const opened: QemuAgent[] = []
const children: ChildProcess[] = []
const made: string[] = []
afterEach(async () => {
  for (const child of children.splice(0)) child.kill("SIGKILL")
  for (const { agent } of opened.splice(0)) await agent.release()
  for (const pid of made.splice(0).flatMap(qemusOf)) process.kill(pid, "SIGKILL")
})

function newMachine(): string {
  const serverId = newUuid()
  made.push(serverId)
  return serverId
}

async function openAgent(): Promise<QemuAgent> {
  const made = await makeQemuAgent({ dataDir, guest, clock: systemClock, log: silentLogger })
  opened.push(made)
  await made.agent.recoverAll()
  return made
}

function startAgentProcess(...serverIds: string[]): {
  child: ChildProcess
  said: (word: string) => Promise<void>
} {
  const child = spawn(process.execPath, [program, dataDir, ...serverIds], {
    stdio: ["ignore", "pipe", "inherit"],
  })
  children.push(child)
  let text = ""
  child.stdout?.on("data", (chunk) => {
    text += String(chunk)
  })
  const said = async (word: string) => {
    await eventually(`the agent to say ${word}`, () => text.includes(word))
  }
  return { child, said }
}

async function killed(child: ChildProcess): Promise<void> {
  child.kill("SIGKILL")
  await eventually("the agent to be dead", () => child.signalCode !== null)
}

/** Processes of QEMU that run this machine. */
function qemusOf(serverId: string): number[] {
  const found: number[] = []
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue
    try {
      const words = readFileSync(`/proc/${name}/cmdline`, "utf8").split("\0")
      if (words[0]?.endsWith("qemu-system-x86_64") && words.includes(serverId)) found.push(Number(name))
    } catch {
      // It ended while we looked.
    }
  }
  return found
}

test("a machine runs on without its agent, and the next one steers it", async () => {
  const serverId = newMachine()
  const first = startAgentProcess(serverId)
  await first.said("ready")
  await killed(first.child)
  const [pid] = qemusOf(serverId)
  assert.ok(pid)
  const { agent, reports } = await openAgent()
  const states = () => reports.flatMap((r) => (r.kind === "vm" && r.serverId === serverId ? [r.state] : []))
  assert.deepEqual(
    states().map((s) => s.power),
    ["running"],
  )
  assert.deepEqual(qemusOf(serverId), [pid])
  const isUp = async () =>
    (await agent.handle("vm.console_log", { serverId, lines: null })).output.includes("GUEST is up")
  await eventually("the guest to be up", isUp)
  const { serialSocket } = runDirectory(agentDirectories(dataDir).vms, serverId)
  await typeOnSerial(serialSocket, "poweroff -f")
  await eventually("the report", () => states().length === 2)
  assert.equal(states()[1]?.reason, "the guest powered off")
  const { power } = await agent.handle("vm.ensure", { spec: tinySpec(serverId), power: "running", fence })
  assert.equal(power, "running")
  const [second] = qemusOf(serverId)
  assert.ok(second)
  process.kill(second, "SIGKILL")
  await eventually("the second report", () => states().length === 3)
  assert.deepEqual([states()[2]?.power, states()[2]?.reason], ["crashed", "QEMU was ended by SIGKILL"])
  await agent.handle("vm.destroy", { serverId, fence: last })
  await agent.release()
})

test("a machine that died while nobody looked is reported as shutdown, and not started", async () => {
  const serverId = newMachine()
  const first = startAgentProcess(serverId)
  await first.said("ready")
  await killed(first.child)
  for (const pid of qemusOf(serverId)) process.kill(pid, "SIGKILL")
  await eventually("QEMU to be gone", () => qemusOf(serverId).length === 0)
  const { agent, reports } = await openAgent()
  const told = await eventually("the report", () => reports.find((r) => r.kind === "vm"))
  assert.ok(told.kind === "vm" && told.serverId === serverId)
  assert.equal(told.state.power, "shutdown")
  assert.deepEqual(qemusOf(serverId), [])
  await agent.handle("vm.destroy", { serverId, fence: last })
  await agent.release()
})

test("killed at any point of an ensure, the repeated ensure ends with one running machine", async () => {
  for (const afterMs of [0, 15, 30, 45, 60, 80, 100, 130, 170]) {
    const serverId = newMachine()
    const first = startAgentProcess(serverId)
    await first.said("begin")
    // Not a wait for something: the moment of the kill is what the test varies.
    await systemClock.sleep(afterMs)
    await killed(first.child)
    const { agent } = await openAgent()
    const ensured = await agent.handle("vm.ensure", { spec: tinySpec(serverId), power: "running", fence })
    assert.equal(ensured.power, "running", `killed after ${afterMs} ms`)
    assert.equal(qemusOf(serverId).length, 1, `killed after ${afterMs} ms`)
    await agent.handle("vm.destroy", { serverId, fence: last })
    assert.deepEqual(qemusOf(serverId), [])
    assert.deepEqual(await agent.handle("vm.list", {}), [])
    await agent.release()
  }
})

test("a clean stop lets the guest power itself off, and the next start boots it again", async () => {
  const serverId = newMachine()
  const one = await openAgent()
  await one.agent.handle("vm.ensure", { spec: tinySpec(serverId), power: "running", fence })
  const boots = async (agent: QemuAgent) => {
    const { output } = await agent.agent.handle("vm.console_log", { serverId, lines: null })
    return output.split("GUEST is up").length - 1
  }
  await eventually("the guest to be up", async () => (await boots(one)) === 1)
  const start = systemClock.monotonicMs()
  await one.agent.stopForShutdown({ graceMs: 300_000 })
  assert.ok(systemClock.monotonicMs() - start < 300_000, "the guest heard the power button")
  assert.deepEqual(qemusOf(serverId), [])
  const two = await openAgent()
  await eventually("the guest to be up again", async () => (await boots(two)) === 2)
  assert.equal(qemusOf(serverId).length, 1)
  await two.agent.handle("vm.destroy", { serverId, fence: last })
  await two.agent.release()
})
