// The agent's process is killed at any moment; the machines run on, and the next agent takes them up.
import assert from "node:assert/strict"
import { type ChildProcess, spawn } from "node:child_process"
import { randomBytes } from "node:crypto"
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, afterEach, before, test } from "node:test"
import { eventually, systemClock } from "../platform/clock/clock.ts"
import { newUuid } from "../platform/ids/ids.ts"
import { silentLogger } from "../platform/log/log.ts"
import { runDirectory } from "./hypervisor/qemu/run-directory.ts"
import { agentDirectories } from "./machine-store.ts"
import { fileVolume, makeQemuAgent, type QemuAgent, tinySpec } from "./testing/qemu-agent.ts"
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

test("killed at any point of a plug or an unplug, the repeated one ends as it was to", async () => {
  const serverId = newMachine()
  const volumeId = newUuid()
  const volume = { volumeId, backend: "file" }
  const one = await openAgent()
  await one.agent.handle("volume.create", { ...volume, sizeBytes: 64 * 1024 * 1024, fence })
  await one.agent.handle("vm.ensure", { spec: tinySpec(serverId), power: "running", fence })
  const { agent } = one
  await eventually("the guest to be up", async () =>
    (await agent.handle("vm.console_log", { serverId, lines: null })).output.includes("GUEST is up"),
  )
  await agent.release()
  const killedAfter = async (task: string, afterMs: number) => {
    const { child, said } = startAgentProcess(`${task}:${serverId}:${volumeId}`)
    await said("begin")
    // As above.
    await systemClock.sleep(afterMs)
    await killed(child)
    return (await openAgent()).agent
  }
  for (const afterMs of [0, 5, 10, 20, 40, 80, 160]) {
    const plugging = await killedAfter("plug", afterMs)
    await plugging.handle("vm.plug_volume", { serverId, disk: fileVolume(volumeId), fence })
    assert.equal(opensOf(serverId, volumeId), 1, `plug killed after ${afterMs} ms`)
    assert.equal((await plugging.handle("volume.inspect", volume)).serverId, serverId)
    await plugging.release()
    const unplugging = await killedAfter("unplug", afterMs)
    // Never free while it is open.
    const { serverId: holder } = await unplugging.handle("volume.inspect", volume)
    assert.ok(holder === serverId || opensOf(serverId, volumeId) === 0, `unplug killed after ${afterMs} ms`)
    await unplugging.handle("vm.unplug_volume", { serverId, volumeId, fence })
    assert.equal(opensOf(serverId, volumeId), 0, `unplug killed after ${afterMs} ms`)
    assert.equal((await unplugging.handle("volume.inspect", volume)).serverId, null)
    await unplugging.release()
  }
  const { agent: next } = await openAgent()
  await next.handle("vm.destroy", { serverId, fence: last })
  assert.equal((await next.handle("volume.inspect", volume)).volume?.sizeBytes, 64 * 1024 * 1024)
  await next.release()
})

test("killed at any point of a copy of a volume that a guest has, nothing is left, and the repeated one is whole", async () => {
  const sizeBytes = 256 * 1024 * 1024
  const serverId = newMachine()
  const volumeId = newUuid()
  const backend = "file"
  const one = await openAgent()
  await one.agent.handle("volume.create", { volumeId, backend, sizeBytes, fence })
  const directoryOf = (id: string) => join(agentDirectories(dataDir).volumes, backend, id)
  const dataOf = (id: string) => readFileSync(join(directoryOf(id), "volume.raw"))
  writeFileSync(join(directoryOf(volumeId), "volume.raw"), randomBytes(sizeBytes), { flag: "r+" })
  const tiny = tinySpec(serverId)
  const spec = { ...tiny, disks: [...tiny.disks, fileVolume(volumeId, sizeBytes)] }
  await one.agent.handle("vm.ensure", { spec, power: "running", fence })
  await one.agent.release()
  for (const afterMs of [0, 20, 40, 80, 160, 320, 640, 1_280]) {
    const copyId = newUuid()
    const { child, said } = startAgentProcess(`copy:${volumeId}:${copyId}:${sizeBytes}`)
    await said("begin")
    // As above.
    await systemClock.sleep(afterMs)
    await killed(child)
    const { agent } = await openAgent()
    assert.equal(opensOf(serverId, copyId), 0, `QEMU let go, killed after ${afterMs} ms`)
    const left = existsSync(directoryOf(copyId)) ? readdirSync(directoryOf(copyId)) : ["volume.raw"]
    assert.ok(left.includes("volume.raw"), `${left} is left, killed after ${afterMs} ms`)
    const create = {
      volumeId: copyId,
      backend,
      sizeBytes,
      source: { kind: "volume" as const, volumeId },
      fence,
    }
    await agent.handle("volume.create", create)
    assert.ok(dataOf(copyId).equals(dataOf(volumeId)), `killed after ${afterMs} ms`)
    assert.deepEqual(readdirSync(directoryOf(copyId)).sort(), ["volume.json", "volume.raw"])
    await agent.handle("volume.delete", { volumeId: copyId, backend, fence })
    assert.equal(existsSync(directoryOf(copyId)), false)
    await agent.release()
  }
  const { agent } = await openAgent()
  assert.equal((await agent.handle("vm.inspect", { serverId })).power, "running")
  await agent.handle("vm.destroy", { serverId, fence: last })
  await agent.release()
})

/** How often the machine's QEMU has the volume open. */
function opensOf(serverId: string, volumeId: string): number {
  const [pid] = qemusOf(serverId)
  assert.ok(pid)
  const files = readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`))
  return files.filter((path) => path.includes(volumeId)).length
}

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
