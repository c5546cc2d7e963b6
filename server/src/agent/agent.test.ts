// The agent's promises, over the fake hypervisor.
import assert from "node:assert/strict"
import { once } from "node:events"
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Duplex } from "node:stream"
import { after, afterEach, test } from "node:test"
import { eventually } from "../platform/clock/clock.ts"
import { Fault } from "../platform/fault/fault.ts"
import { newUuid } from "../platform/ids/ids.ts"
import { linkedPair } from "../platform/streams/pair.ts"
import { noImageCache } from "./image-cache/no-image-cache.ts"
import { agentDirectories } from "./machine-store.ts"
import type { Fence, VmSpec } from "./protocol.ts"
import { exampleSpec } from "./testing/example-spec.ts"
import { type FakeAgent, openFakeAgent as open } from "./testing/fake-agent.ts"

const root = mkdtempSync(join(tmpdir(), "kumoi-fake-agent-"))
after(() => rmSync(root, { recursive: true }))
let count = 0

// An agent that a failed test left open would keep the process alive.
const opened: FakeAgent[] = []
afterEach(async () => {
  for (const { agent } of opened.splice(0)) await agent.release()
})

async function openFakeAgent(options: Parameters<typeof open>[0]): Promise<FakeAgent> {
  const made = await open(options)
  opened.push(made)
  return made
}

interface Bench {
  dataDir: string
  plugged: Set<string>
}

const newBench = (): Bench => ({ dataDir: join(root, String(++count)), plugged: new Set() })
const first: Fence = { generation: 1, fence: 1 }
const second: Fence = { generation: 1, fence: 2 }

function machine(serverId = newUuid()): VmSpec {
  const vif = { portId: newUuid(), macAddress: "fa:16:3e:00:00:01", mtu: 1442, networkId: newUuid() }
  return { ...exampleSpec(serverId), vifs: [vif] }
}

function isFault(code: string): (error: unknown) => boolean {
  return (error) => error instanceof Fault && error.code === code
}

test("the life of a machine: made, listed, stopped, started, paused, rebooted, destroyed", async () => {
  const bench = newBench()
  const { agent, told } = await openFakeAgent(bench)
  const spec = machine()
  const { serverId } = spec
  const power = async () => (await agent.handle("vm.inspect", { serverId })).power
  assert.equal(await power(), "absent")
  assert.equal((await agent.handle("vm.ensure", { spec, power: "running", fence: first })).power, "running")
  assert.deepEqual([...bench.plugged], [spec.vifs[0]?.portId])
  assert.deepEqual(
    (await agent.handle("vm.list", {})).map((m) => [m.serverId, m.state.power]),
    [[serverId, "running"]],
  )
  assert.equal((await agent.handle("vm.pause", { serverId, fence: first })).power, "paused")
  assert.equal((await agent.handle("vm.unpause", { serverId, fence: first })).power, "running")
  assert.equal((await agent.handle("vm.suspend", { serverId, fence: first })).power, "suspended")
  assert.equal((await agent.handle("vm.ensure", { spec, power: "running", fence: first })).power, "running")
  assert.equal((await agent.handle("vm.stop", { serverId, graceMs: 0, fence: first })).power, "shutdown")
  await agent.handle("vm.ensure", { spec, power: "running", fence: first })
  const reboot = { spec, hard: false, graceMs: 0, fence: first }
  assert.equal((await agent.handle("vm.reboot", reboot)).power, "running")
  assert.match(
    (await agent.handle("vm.console_log", { serverId, lines: null })).output,
    /login: [\s\S]*login: /,
  )
  assert.equal((await agent.handle("vm.destroy", { serverId, fence: first })).power, "absent")
  assert.equal((await agent.handle("vm.destroy", { serverId, fence: first })).power, "absent")
  assert.deepEqual(await agent.handle("vm.list", {}), [])
  assert.equal(bench.plugged.size, 0)
  // What was asked for is answered, not reported.
  assert.deepEqual(told(serverId), [])
  await agent.release()
})

test("a stale command is refused, before and after the destroy, also by the next agent", async () => {
  const bench = newBench()
  const one = await openFakeAgent(bench)
  const spec = machine()
  const { serverId } = spec
  await one.agent.handle("vm.ensure", { spec, power: "running", fence: second })
  const stale = isFault("agent.fence.stale")
  await assert.rejects(one.agent.handle("vm.stop", { serverId, graceMs: 0, fence: first }), stale)
  await one.agent.handle("vm.destroy", { serverId, fence: second })
  // The paused worker of the saga that was unwound wakes up and repeats its command.
  await assert.rejects(one.agent.handle("vm.ensure", { spec, power: "running", fence: second }), stale)
  await one.agent.release()
  const two = await openFakeAgent(bench)
  await assert.rejects(two.agent.handle("vm.ensure", { spec, power: "running", fence: second }), stale)
  assert.deepEqual(await two.agent.handle("vm.list", {}), [])
  const newer = { generation: 2, fence: 0 }
  await two.agent.handle("vm.ensure", { spec, power: "running", fence: newer })
  await two.agent.release()
})

test("a failed ensure leaves no port, no record, no machine, and can be repeated", async () => {
  const bench = newBench()
  const { agent, fake } = await openFakeAgent(bench)
  const spec = machine()
  fake.setControl({ fail: { operation: "ensure", at: 1 } })
  const ensure = () => agent.handle("vm.ensure", { spec, power: "running", fence: first })
  await assert.rejects(ensure(), isFault("agent.machine.start_failed"))
  assert.equal(bench.plugged.size, 0)
  assert.deepEqual(await agent.handle("vm.list", {}), [])
  assert.equal((await ensure()).power, "running")
  await agent.release()
})

test("a failed repeat leaves the machine as it was", async () => {
  const bench = newBench()
  const { agent, fake } = await openFakeAgent(bench)
  const spec = machine()
  await agent.handle("vm.ensure", { spec, power: "running", fence: first })
  const grown = { ...spec, vifs: [...spec.vifs, ...machine().vifs] }
  fake.setControl({ fail: { operation: "ensure", at: 1 } })
  await assert.rejects(agent.handle("vm.ensure", { spec: grown, power: "running", fence: first }))
  assert.deepEqual([...bench.plugged], [spec.vifs[0]?.portId])
  assert.equal((await agent.handle("vm.inspect", { serverId: spec.serverId })).power, "running")
  await agent.release()
})

test("an image that cannot be had gives its own fault and leaves nothing", async () => {
  const bench = newBench()
  const images = { ...noImageCache, ensureImage: () => Promise.reject(new Error("the store is away")) }
  const { agent } = await openFakeAgent({ ...bench, images })
  const ensure = agent.handle("vm.ensure", { spec: machine(), power: "running", fence: first })
  await assert.rejects(ensure, /the store is away/)
  assert.equal(bench.plugged.size, 0)
  assert.deepEqual(await agent.handle("vm.list", {}), [])
  await agent.release()
})

test("commands of one machine run one after the other, in their order", async () => {
  const { agent, fake } = await openFakeAgent(newBench())
  const spec = machine()
  fake.setControl({ delayMs: 5 })
  const states = await Promise.all([
    agent.handle("vm.ensure", { spec, power: "running", fence: first }),
    agent.handle("vm.pause", { serverId: spec.serverId, fence: first }),
    agent.handle("vm.stop", { serverId: spec.serverId, graceMs: 0, fence: first }),
    agent.handle("vm.destroy", { serverId: spec.serverId, fence: first }),
  ])
  assert.deepEqual(
    states.map((state) => state.power),
    ["running", "paused", "shutdown", "absent"],
  )
  await agent.release()
})

test("a machine's own end is reported once", async () => {
  const { agent, fake, told } = await openFakeAgent(newBench())
  const spec = machine()
  await agent.handle("vm.ensure", { spec, power: "running", fence: first })
  fake.guestPowersOff(spec.serverId)
  await eventually("the report", () => told(spec.serverId).length > 0)
  await agent.handle("vm.ensure", { spec, power: "running", fence: first })
  fake.losePower([spec.serverId])
  await eventually("the second report", () => told(spec.serverId).length > 1)
  assert.deepEqual(told(spec.serverId), ["shutdown", "crashed"])
  await agent.release()
})

test("release leaves machines running, and the next agent reports them and their deaths meanwhile", async () => {
  const bench = newBench()
  const one = await openFakeAgent(bench)
  const [alive, dead] = [machine(), machine()]
  for (const spec of [alive, dead]) {
    await one.agent.handle("vm.ensure", { spec, power: "running", fence: first })
  }
  await one.agent.release()
  one.fake.guestPowersOff(dead.serverId)
  bench.plugged.clear()
  const two = await openFakeAgent(bench)
  await eventually("both reports", () => two.told(dead.serverId).length > 0)
  assert.deepEqual(two.told(alive.serverId), ["running"])
  assert.deepEqual(two.told(dead.serverId), ["shutdown"])
  assert.deepEqual([...bench.plugged], [alive.vifs[0]?.portId])
  await two.agent.release()
})

test("a clean stop powers all off, silently, and the next start brings back what ran", async () => {
  const bench = newBench()
  const one = await openFakeAgent(bench)
  const [ran, paused, off, suspended] = [machine(), machine(), machine(), machine()]
  await one.agent.handle("vm.ensure", { spec: ran, power: "running", fence: first })
  await one.agent.handle("vm.ensure", { spec: suspended, power: "running", fence: first })
  await one.agent.handle("vm.suspend", { serverId: suspended.serverId, fence: first })
  await one.agent.handle("vm.ensure", { spec: paused, power: "paused", fence: first })
  await one.agent.handle("vm.ensure", { spec: off, power: "shutdown", fence: first })
  await one.agent.stopForShutdown({ graceMs: 100 })
  assert.deepEqual(one.told(ran.serverId), [])
  await assert.rejects(one.agent.handle("vm.list", {}), isFault("agent.host.stopping"))
  for (const spec of [ran, paused, off]) {
    const state = await one.fake.inspect({ serverId: spec.serverId, driver: "fake" })
    assert.equal(state.power, "shutdown")
  }
  const two = await openFakeAgent(bench)
  await eventually("the machines to be back", () => two.told(paused.serverId).length > 0)
  await eventually("the machines to be back", () => two.told(ran.serverId).length > 0)
  assert.deepEqual(two.told(ran.serverId), ["running"])
  assert.deepEqual(two.told(paused.serverId), ["paused"])
  assert.deepEqual(two.told(off.serverId), ["shutdown"])
  assert.deepEqual(two.told(suspended.serverId), ["suspended"])
  await two.agent.release()
  // The marker is used up: what dies now is not brought back by the next start.
  two.fake.losePower()
  const three = await openFakeAgent(bench)
  assert.deepEqual(three.told(ran.serverId), ["crashed"])
  await three.agent.release()
})

test("what does not start with its host is tried again, and then stays off with the reason, its disks kept", async () => {
  const bench = newBench()
  const spec = machine()
  const { serverId } = spec
  const one = await openFakeAgent(bench)
  await one.agent.handle("vm.ensure", { spec, power: "running", fence: first })
  await one.agent.stopForShutdown({ graceMs: 0 })
  const failing = (times: number) => ({ operation: "ensure", at: 1, times })
  const two = await openFakeAgent({ ...bench, resumePausesMs: [10, 10], fail: failing(2) })
  await eventually("the third try", () => two.told(serverId).length === 3)
  assert.deepEqual(two.told(serverId), ["shutdown", "shutdown", "running"])
  await two.agent.stopForShutdown({ graceMs: 0 })
  // One that stops meanwhile does not wait for the next try; the next start makes it.
  const three = await openFakeAgent({ ...bench, resumePausesMs: [3_600_000], fail: failing(1) })
  await eventually("the first try", () => three.told(serverId).length === 1)
  await three.agent.stopForShutdown({ graceMs: 0 })
  const four = await openFakeAgent({ ...bench, resumePausesMs: [10], fail: failing(9) })
  await eventually("the last try", () => four.told(serverId).length === 2)
  const last = four.reports.findLast((report) => report.kind === "vm")
  assert.match((last?.kind === "vm" && last.state.cannotStart) || "", /told to fail at ensure 2/)
  await four.agent.release()
  const five = await openFakeAgent(bench)
  const [found] = await five.agent.handle("vm.list", {})
  assert.deepEqual([found?.serverId, found?.state.power], [serverId, "shutdown"])
  assert.match(found?.state.cannotStart ?? "", /told to fail/)
  await five.agent.handle("vm.ensure", { spec, power: "running", fence: first })
  assert.equal((await five.agent.handle("vm.inspect", { serverId })).cannotStart, undefined)
  await five.agent.release()
})

test("what ran when the host lost its power runs again after its reboot", async () => {
  const bench = newBench()
  const one = await openFakeAgent(bench)
  const [ran, off] = [machine(), machine()]
  await one.agent.handle("vm.ensure", { spec: ran, power: "running", fence: first })
  await one.agent.handle("vm.ensure", { spec: off, power: "running", fence: first })
  await one.agent.handle("vm.stop", { serverId: off.serverId, graceMs: 0, fence: first })
  await one.agent.release()
  one.fake.losePower()
  const two = await openFakeAgent({ ...bench, bootId: "boot-2" })
  await eventually("the machine to be back", () => two.told(ran.serverId).length > 0)
  assert.deepEqual(two.told(ran.serverId), ["running"])
  assert.deepEqual(two.told(off.serverId), ["shutdown"])
  await two.agent.release()
})

test("a destroy that a crash cut short is finished at the next start", async () => {
  const bench = newBench()
  const one = await openFakeAgent(bench)
  const spec = machine()
  await one.agent.handle("vm.ensure", { spec, power: "running", fence: first })
  one.fake.setControl({ fail: { operation: "destroy", at: 1 } })
  await assert.rejects(one.agent.handle("vm.destroy", { serverId: spec.serverId, fence: first }))
  await one.agent.release()
  const two = await openFakeAgent(bench)
  assert.deepEqual(await two.agent.handle("vm.list", {}), [])
  assert.equal(bench.plugged.size, 0)
  assert.deepEqual(readdirSync(agentDirectories(bench.dataDir).vms), [])
  await two.agent.release()
})

test("a directory that no record explains is listed, for the cloud to decide", async () => {
  const bench = newBench()
  const serverId = newUuid()
  mkdirSync(join(agentDirectories(bench.dataDir).vms, serverId), { recursive: true })
  const { agent } = await openFakeAgent(bench)
  const list = await agent.handle("vm.list", {})
  assert.deepEqual(
    list.map((m) => [m.serverId, m.state.power]),
    [[serverId, "absent"]],
  )
  await agent.handle("vm.destroy", { serverId, fence: first })
  assert.deepEqual(await agent.handle("vm.list", {}), [])
  await agent.release()
})

test("the image cache is shown the ticket, and no ticket stays on the disk", async () => {
  const bench = newBench()
  const tickets: (string | undefined)[] = []
  const images = {
    ...noImageCache,
    ensureImage: async (request: Parameters<typeof noImageCache.ensureImage>[0]) => {
      tickets.push(request.ticket)
      return await noImageCache.ensureImage(request, () => new Set())
    },
  }
  const { agent } = await openFakeAgent({ ...bench, images })
  const spec = machine()
  const source = { kind: "image" as const, imageId: "i1", checksum: "0".repeat(32), diskFormat: "raw" }
  spec.disks = spec.disks.map((disk) => ({ ...disk, source }))
  const told = { spec, tickets: { i1: "secret-ticket" }, fence: first }
  await agent.handle("vm.ensure", { ...told, power: "running" })
  await agent.handle("vm.reboot", { ...told, hard: true, graceMs: 0 })
  assert.deepEqual(new Set(tickets), new Set(["secret-ticket"]))
  await agent.release()
  const files = readdirSync(bench.dataDir, { recursive: true, withFileTypes: true })
  for (const file of files.filter((entry) => entry.isFile()))
    assert.doesNotMatch(readFileSync(join(file.parentPath, file.name), "utf8"), /secret-ticket/)
})

test("interfaces are added and removed, and follow the spec of a later ensure", async () => {
  const bench = newBench()
  const { agent } = await openFakeAgent(bench)
  const spec = machine()
  const { serverId } = spec
  await agent.handle("vm.ensure", { spec, power: "running", fence: first })
  const [vif] = machine().vifs
  assert.ok(vif)
  await agent.handle("vm.plug", { serverId, vif, fence: first })
  assert.equal(bench.plugged.size, 2)
  await agent.handle("vm.unplug", { serverId, portId: vif.portId, fence: first })
  assert.deepEqual([...bench.plugged], [spec.vifs[0]?.portId])
  await agent.handle("vm.ensure", { spec: { ...spec, vifs: [vif] }, power: "running", fence: first })
  assert.deepEqual([...bench.plugged], [vif.portId])
  const { nics } = await agent.handle("vm.diagnostics", { serverId })
  assert.deepEqual(
    nics.map((nic) => nic.macAddress),
    [vif.macAddress],
  )
  await agent.release()
})

test("a command that the agent does not know is refused as such", async () => {
  const { agent } = await openFakeAgent(newBench())
  for (const name of ["vm.later", "toString", "__proto__"])
    await assert.rejects(agent.handle(name as "vm.list", {}), isFault("agent.command.unknown"))
})

test("unknown machines, bad ids and missing abilities are told apart", async () => {
  const { agent } = await openFakeAgent(newBench())
  const serverId = newUuid()
  const notFound = isFault("agent.machine.not_found")
  await assert.rejects(agent.handle("vm.stop", { serverId, graceMs: 0, fence: first }), notFound)
  await assert.rejects(agent.handle("vm.console_log", { serverId, lines: 1 }), notFound)
  const outside = agent.handle("vm.destroy", { serverId: "../../etc", fence: first })
  await assert.rejects(outside, isFault("request.invalid"))
  const spec = machine()
  await agent.handle("vm.ensure", { spec, power: "running", fence: first })
  await agent.release()
})

test("a console is the machine's, joined to the stream that its host was told to open", async () => {
  const dialed = new Map<string, Duplex>()
  const streams = {
    dial: async (id: string) => {
      const [own, theirs] = linkedPair()
      dialed.set(id, theirs)
      return own
    },
  }
  const { agent, fake } = await openFakeAgent({ ...newBench(), streams })
  const spec = machine()
  const { serverId } = spec
  await agent.handle("vm.ensure", { spec, power: "running", fence: first })
  const open = async (streamId: string, kind: "vnc" | "serial") => {
    await agent.handle("vm.console", { serverId, kind, streamId })
    const stream = dialed.get(streamId)
    assert.ok(stream)
    return { stream, heard: String((await once(stream, "data"))[0]) }
  }
  assert.match((await open("a", "vnc")).heard, /^RFB 003\.008/)
  const before = await open("b", "serial")
  assert.match(before.heard, /login: /)
  const line = await open("c", "serial")
  await eventually("the older end of the line to be over", () => before.stream.readableEnded)
  fake.guestPowersOff(serverId)
  for (const stream of [line.stream, dialed.get("a")])
    await eventually("what was open to end with the machine", () => stream?.resume().readableEnded)
  const wrong = isFault("agent.machine.wrong_state")
  await assert.rejects(agent.handle("vm.console", { serverId, kind: "vnc", streamId: "d" }), wrong)
  await agent.release()
})

test("the host says that it is alive, with what it has", async () => {
  const { agent, reports } = await openFakeAgent(newBench())
  const alive = await eventually("the first report", () => reports.find((r) => r.kind === "alive"))
  assert.ok(alive.kind === "alive" && alive.description.ramMib > 0)
  await agent.release()
})

test("a full disk of the host is told as such, and nothing of the machine stays", async () => {
  const bench = newBench()
  const images = {
    ...noImageCache,
    ensureImage: async () => {
      await writeFile("/dev/full", "an image")
      return assert.fail("it was written")
    },
  }
  const { agent } = await openFakeAgent({ ...bench, images })
  const spec = machine()
  const ensuring = agent.handle("vm.ensure", { spec, power: "running", fence: first })
  await assert.rejects(ensuring, isFault("agent.host.disk_full"))
  assert.deepEqual(await agent.handle("vm.list", {}), [])
  assert.deepEqual([...bench.plugged], [])
})
