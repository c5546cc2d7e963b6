// Machines that are kept out of the way, over the fake hypervisor.
import assert from "node:assert/strict"
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { readFile, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, afterEach, test } from "node:test"
import { newUuid } from "../platform/ids/ids.ts"
import { agentFenceStale, agentMachineExists } from "./faults.ts"
import { agentDirectories } from "./machine-store.ts"
import type { VmSpec } from "./protocol.ts"
import { exampleSpec } from "./testing/example-spec.ts"
import { type FakeAgent, openFakeAgent } from "./testing/fake-agent.ts"

const root = mkdtempSync(join(tmpdir(), "kumoi-aside-"))
after(() => rmSync(root, { recursive: true }))
const opened: FakeAgent[] = []
afterEach(async () => {
  for (const { agent } of opened.splice(0)) await agent.release()
})
let count = 0

interface Bench {
  dataDir: string
  plugged: Set<string>
}

const newBench = (): Bench => ({ dataDir: join(root, String(++count)), plugged: new Set() })

async function openAgent(bench: Bench): Promise<FakeAgent> {
  const made = await openFakeAgent(bench)
  opened.push(made)
  return made
}

function machine(): VmSpec {
  const vif = { portId: newUuid(), macAddress: "fa:16:3e:00:00:01", mtu: 1442, networkId: newUuid() }
  return { ...exampleSpec(newUuid()), vifs: [vif] }
}

const diskOf = (bench: Bench, serverId: string) =>
  join(agentDirectories(bench.dataDir).vms, serverId, "disks/root.qcow2")

async function makeMachine(
  bench: Bench,
  { agent }: FakeAgent,
  fence = { epoch: 1, generation: 5, fence: 1 },
) {
  const spec = machine()
  await agent.handle("vm.ensure", { spec, power: "running", fence })
  // The fake has no disks.
  const disk = diskOf(bench, spec.serverId)
  mkdirSync(join(disk, ".."), { recursive: true })
  await writeFile(disk, "what the guest wrote")
  return spec
}

test("a machine that is set aside is off, out of every list, and whole; it can be put back", async () => {
  const bench = newBench()
  const fake = await openAgent(bench)
  const { agent } = fake
  const spec = await makeMachine(bench, fake)
  const { serverId } = spec
  const { entry } = await agent.handle("vm.set_aside", { serverId, why: "no row", fence: null })
  assert.deepEqual(await agent.handle("vm.list", {}), [])
  assert.equal(bench.plugged.size, 0)
  const late = { spec, power: "running" as const, fence: { epoch: 1, generation: 5, fence: 1 } }
  await assert.rejects(agent.handle("vm.ensure", late), agentFenceStale.is)
  const { here, aside } = await agent.handle("host.unknown", { serverIds: [serverId] })
  assert.deepEqual(here, [])
  const [found] = aside
  assert.deepEqual(
    [found?.entry, found?.serverId, found?.why, found?.power, found?.spec?.name, found?.generation],
    [entry, serverId, "no row", "running", spec.name, 5],
  )
  assert.ok((found?.sizeBytes ?? 0) > 0)
  // Both may be asked twice, as whoever asked may not have heard the answer.
  await agent.handle("vm.set_aside", { serverId, why: "again", fence: null })
  for (let i = 0; i < 2; i++) {
    const back = await agent.handle("vm.take_back", { entry })
    assert.deepEqual([back.serverId, back.power, back.generation], [serverId, "shutdown", 5])
  }
  assert.equal(await readFile(diskOf(bench, serverId), "utf8"), "what the guest wrote")
  const started = await agent.handle("vm.ensure", { ...late, fence: { epoch: 1, generation: 7, fence: 1 } })
  assert.equal(started.power, "running")
})

test("what is set aside stays so over a restart, also one in the middle of it, until it is discarded", async () => {
  const bench = newBench()
  const first = await openAgent(bench)
  const [one, two] = [await makeMachine(bench, first), await makeMachine(bench, first)]
  await first.agent.handle("vm.set_aside", { serverId: one.serverId, why: "no row", fence: null })
  // The agent died after it had written down what it was about, and the tombstone.
  const directories = agentDirectories(bench.dataDir)
  const note = { serverId: two.serverId, at: "2026-01-01T00:00:00Z", why: "no row", power: "running" }
  await writeFile(join(directories.vms, two.serverId, "aside.json"), JSON.stringify(note))
  const tombstone = { epoch: 1, generation: 5, fence: 1, isDestroyed: true }
  await writeFile(join(directories.fences, `${two.serverId}.json`), JSON.stringify(tombstone))
  await opened.pop()?.agent.release()
  const second = await openAgent(bench)
  const { aside } = await second.agent.handle("host.unknown", { serverIds: [] })
  assert.deepEqual(aside.map((m) => m.serverId).sort(), [one.serverId, two.serverId].sort())
  const kept = join(directories.lostAndFound, two.serverId, "disks/root.qcow2")
  assert.equal(await readFile(kept, "utf8"), "what the guest wrote")
  for (let i = 0; i < 2; i++) await second.agent.handle("host.discard", { entry: two.serverId })
  assert.ok(!existsSync(kept))
  assert.equal((await second.agent.handle("host.unknown", { serverIds: [] })).aside.length, 1)
})

test("two machines of one server are kept beside each other; none is put back over a living one", async () => {
  const bench = newBench()
  const fake = await openAgent(bench)
  const { agent } = fake
  const spec = await makeMachine(bench, fake)
  const { serverId } = spec
  const ensure = (generation: number) =>
    agent.handle("vm.ensure", { spec, power: "running", fence: { epoch: 1, generation, fence: 1 } })
  const first = await agent.handle("vm.set_aside", { serverId, why: "a", fence: null })
  await ensure(7)
  await assert.rejects(agent.handle("vm.take_back", { entry: first.entry }), agentMachineExists.is)
  const second = await agent.handle("vm.set_aside", { serverId, why: "b", fence: null })
  assert.notEqual(first.entry, second.entry)
  assert.equal((await agent.handle("host.unknown", { serverIds: [] })).aside.length, 2)
  await assert.rejects(agent.handle("host.discard", { entry: "../vms" }))
})

test("until the host has entered the cloud's epoch nothing is destroyed; the past commands nothing", async () => {
  const bench = newBench()
  const fake = await openAgent(bench)
  const { agent } = fake
  await agent.handle("host.epoch", { enter: { number: 10, id: "a" } })
  const before = { epoch: 10, generation: 40, fence: 3 }
  const [known, other] = [await makeMachine(bench, fake, before), await makeMachine(bench, fake, before)]
  // A backup is restored: generations go back, and the epoch is above.
  const restored = { epoch: 11, generation: 4, fence: 1 }
  const stop = { serverId: known.serverId, graceMs: 0 }
  assert.equal((await agent.handle("vm.stop", { ...stop, fence: restored })).power, "shutdown")
  await assert.rejects(
    agent.handle("vm.stop", { ...stop, fence: { epoch: 10, generation: 99, fence: 9 } }),
    agentFenceStale.is,
  )
  for (let i = 0; i < 2; i++) {
    const gone = await agent.handle("vm.destroy", { serverId: other.serverId, fence: restored })
    assert.equal(gone.power, "absent")
  }
  const { aside } = await agent.handle("host.unknown", { serverIds: [] })
  assert.deepEqual(
    aside.map((m) => m.serverId),
    [other.serverId],
  )
  await agent.handle("host.epoch", { enter: { number: 11, id: "b" } })
  // Never back.
  const { epoch } = await agent.handle("host.epoch", { enter: { number: 10, id: "a" } })
  assert.deepEqual(epoch, { number: 11, id: "b" })
  await agent.handle("vm.destroy", { serverId: known.serverId, fence: restored })
  assert.equal((await agent.handle("host.unknown", { serverIds: [] })).aside.length, 1)
  const past = agent.handle("vm.destroy", { serverId: newUuid(), fence: before })
  await assert.rejects(past, agentFenceStale.is)
})
