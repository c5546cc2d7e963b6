// Volumes that move between two back ends of a host, over the fake hypervisor: whatever comes in between, one of them
// has the volume, and its machine with it.
import assert from "node:assert/strict"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, afterEach, test } from "node:test"
import { eventually } from "../../platform/clock/clock.ts"
import { Fault } from "../../platform/fault/fault.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { agentDirectories, type MachineRecord } from "../machine-store.ts"
import type { DiskSpec, Fence } from "../protocol.ts"
import { readStateFile } from "../state-file.ts"
import { exampleSpec } from "../testing/example-spec.ts"
import { type FakeAgent, openFakeAgent } from "../testing/fake-agent.ts"
import { MoveStore } from "./move-store.ts"
import { volumeDisks } from "./volume-disks.ts"

const root = mkdtempSync(join(tmpdir(), "kumoi-volume-moves-"))
after(() => rmSync(root, { recursive: true }))
const opened: FakeAgent[] = []
afterEach(async () => {
  for (const { agent } of opened.splice(0)) await agent.release()
})

let count = 0
const gib = 1024 ** 3
const fence: Fence = { generation: 1, fence: 2 }
const from: string = "fake"
const to: string = "fake2"

type Host = FakeAgent & { dataDir: string }

async function openHost(dataDir = join(root, String(++count))): Promise<Host> {
  const made = await openFakeAgent({ dataDir, plugged: new Set(), hasOtherBackend: true })
  opened.push(made)
  return { ...made, dataDir }
}

/** As after a kill: what the agent held in memory is gone. */
async function restart(host: Host): Promise<Host> {
  await host.agent.release()
  return await openHost(host.dataDir)
}

function isFault(code: string): (error: unknown) => boolean {
  return (error) => error instanceof Fault && error.code === code
}

async function makeVolume({ agent }: Host): Promise<string> {
  const volumeId = newUuid()
  await agent.handle("volume.create", { volumeId, backend: from, sizeBytes: gib, fence })
  return volumeId
}

const diskOf = (volumeId: string, backend: string): DiskSpec => ({
  ...{ name: volumeId, sizeBytes: gib, bus: "virtio", bootIndex: null },
  source: { kind: "volume", volumeId, backend },
})

function specOf(serverId: string, volumeId: string, backend: string) {
  const spec = exampleSpec(serverId)
  return { ...spec, disks: [...spec.disks, diskOf(volumeId, backend)] }
}

async function makeMachine({ agent }: Host, volumeId: string, power: "running" | "shutdown" = "running") {
  const serverId = newUuid()
  await agent.handle("vm.ensure", { spec: specOf(serverId, volumeId, from), power, fence })
  return serverId
}

const move = (host: Host, volumeId: string, signal?: AbortSignal) =>
  host.agent.handle("volume.move", { volumeId, fromBackend: from, backend: to, fence }, signal)

async function placesOf({ agent }: Host, volumeId: string): Promise<string[]> {
  const found: string[] = []
  for (const backend of [from, to])
    if ((await agent.handle("volume.inspect", { volumeId, backend })).volume) found.push(backend)
  return found
}

/** Where the machine's record says that it is. */
function toldOf({ dataDir }: Host, serverId: string): string | undefined {
  const file = join(agentDirectories(dataDir).vms, serverId, "machine.json")
  const { spec } = readStateFile(file) as MachineRecord
  return volumeDisks(spec.disks)[0]?.backend
}

test("a volume at rest moves once, as often as it is asked for, and back", async () => {
  const host = await openHost()
  const volumeId = await makeVolume(host)
  for (const _ of [1, 2]) {
    assert.equal((await move(host, volumeId)).sizeBytes, gib)
    assert.deepEqual(await placesOf(host, volumeId), [to])
  }
  const back = { volumeId, fromBackend: to, backend: from, fence }
  await host.agent.handle("volume.move", back)
  assert.deepEqual(await placesOf(host, volumeId), [from])
  await host.agent.handle("volume.delete", { volumeId, backend: from, fence })
  const newer = { generation: 2, fence: 1 }
  await assert.rejects(host.agent.handle("volume.move", back), isFault("agent.fence.stale"))
  await assert.rejects(
    host.agent.handle("volume.move", { ...back, fence: newer }),
    isFault("agent.volume.not_found"),
  )
})

test("what is wrong with a command is said, and nothing moves", async () => {
  const host = await openHost()
  const volumeId = await makeVolume(host)
  const asked = { volumeId, fromBackend: from, backend: to, fence }
  const refused = async (change: Partial<typeof asked>, code: string) => {
    await assert.rejects(host.agent.handle("volume.move", { ...asked, ...change }), isFault(code))
  }
  await refused({ backend: from }, "request.invalid")
  await refused({ backend: "none" }, "agent.volume.backend_unknown")
  await refused({ fromBackend: "none" }, "agent.volume.backend_unknown")
  await refused({ volumeId: newUuid() }, "agent.volume.not_found")
  await refused({ fence: { generation: 1, fence: 1 } }, "agent.fence.stale")
  // Nobody knows whose that is: it is not overwritten.
  await host.others.create(volumeId, 2 * gib, null)
  await refused({}, "agent.volume.exists")
  assert.deepEqual(await placesOf(host, volumeId), [from, to])
})

for (const power of ["running", "shutdown"] as const) {
  test(`the machine that has the volume, ${power}, goes on with it where it is`, async () => {
    const host = await openHost()
    const volumeId = await makeVolume(host)
    const serverId = await makeMachine(host, volumeId, power)
    await move(host, volumeId)
    assert.deepEqual(await placesOf(host, volumeId), [to])
    assert.equal(toldOf(host, serverId), to)
    // Who says where it was asks again.
    const ensure = (backend: string) =>
      host.agent.handle("vm.ensure", { spec: specOf(serverId, volumeId, backend), power: "running", fence })
    await assert.rejects(ensure(from), isFault("agent.volume.moving"))
    await ensure(to)
    const again = await restart(host)
    assert.deepEqual(await placesOf(again, volumeId), [to])
    await again.agent.handle("vm.unplug_volume", { serverId, volumeId, fence })
    await again.agent.handle("volume.delete", { volumeId, backend: to, fence })
  })
}

test("a suspended guest keeps its volume where it is", async () => {
  const host = await openHost()
  const volumeId = await makeVolume(host)
  const serverId = await makeMachine(host, volumeId)
  await host.agent.handle("vm.suspend", { serverId, fence })
  await assert.rejects(move(host, volumeId), isFault("agent.machine.wrong_state"))
  assert.deepEqual(await placesOf(host, volumeId), [from])
})

test("a move that fails anywhere leaves the volume in one place, and the next one moves it", async () => {
  for (const operation of ["mirrorVolume", "switchVolume", "plugVolume", "endMirror"]) {
    const host = await openHost()
    const volumeId = await makeVolume(host)
    const serverId = await makeMachine(host, volumeId)
    host.fake.setControl({ fail: { operation, at: 1 } })
    await assert.rejects(move(host, volumeId))
    const places = await placesOf(host, volumeId)
    assert.equal(places.length, 1, `after ${operation}`)
    assert.equal(toldOf(host, serverId), places[0], `after ${operation}`)
    await move(host, volumeId)
    assert.deepEqual([await placesOf(host, volumeId), toldOf(host, serverId)], [[to], to])
  }
})

test("a volume of which it is not settled where it is waits for that, and nothing is done to it", async () => {
  const host = await openHost()
  const volumeId = await makeVolume(host)
  // What is in the second back end cannot be removed now.
  host.others.setControl({ failNext: 100 })
  await assert.rejects(move(host, volumeId))
  const spec = specOf(newUuid(), volumeId, from)
  const moving = isFault("agent.volume.moving")
  await assert.rejects(host.agent.handle("vm.ensure", { spec, power: "running", fence }), moving)
  await assert.rejects(host.agent.handle("volume.delete", { volumeId, backend: from, fence }), moving)
  await assert.rejects(
    host.agent.handle("volume.extend", { volumeId, backend: from, sizeBytes: 2 * gib, fence }),
    moving,
  )
  host.others.setControl({ failNext: 0 })
  const again = await restart(host)
  assert.deepEqual(await placesOf(again, volumeId), [from])
  await move(again, volumeId)
  assert.deepEqual(await placesOf(again, volumeId), [to])
})

for (const isSwitched of [false, true]) {
  test(`after a kill in the middle, ${isSwitched ? "switched" : "not switched"}, one place is right`, async () => {
    const host = await openHost()
    const volumeId = await makeVolume(host)
    const serverId = await makeMachine(host, volumeId, "shutdown")
    await host.others.create(volumeId, gib, null)
    await host.agent.release()
    const moves = new MoveStore(agentDirectories(host.dataDir).volumeMoves)
    await moves.put(volumeId, { from, to, isSwitched })
    const again = await openHost(host.dataDir)
    const right = isSwitched ? to : from
    assert.deepEqual([await placesOf(again, volumeId), toldOf(again, serverId)], [[right], right])
    const next = { spec: specOf(serverId, volumeId, right), power: "running" as const, fence }
    await again.agent.handle("vm.ensure", next)
  })
}

test("what a guest that runs has open is right, whatever the note says", async () => {
  const host = await openHost()
  const volumeId = await makeVolume(host)
  const serverId = await makeMachine(host, volumeId)
  await host.others.create(volumeId, gib, null)
  await host.agent.release()
  const moves = new MoveStore(agentDirectories(host.dataDir).volumeMoves)
  await moves.put(volumeId, { from, to, isSwitched: true })
  const again = await openHost(host.dataDir)
  assert.deepEqual([await placesOf(again, volumeId), toldOf(again, serverId)], [[from], from])
})

test("a machine ends while its volume is copied: the volume stays, and moves at rest the next time", async () => {
  const host = await openHost()
  const volumeId = await makeVolume(host)
  const serverId = await makeMachine(host, volumeId)
  host.fake.setControl({ copyMs: 600_000 })
  const broken = assert.rejects(move(host, volumeId), isFault("agent.volume.copy_broken"))
  await eventually("it to copy", () => host.fake.underWay > 0)
  // Its queue is free while the volume is copied.
  await host.agent.handle("vm.destroy", { serverId, fence })
  host.fake.setControl({ copyMs: 0 })
  await broken
  assert.deepEqual(await placesOf(host, volumeId), [from])
  await move(host, volumeId)
  assert.deepEqual(await placesOf(host, volumeId), [to])
})

test("what a guest has moves neither from nor to Ceph, which has no path; at rest it does", async () => {
  const ceph = { kind: "rbd", pool: "p", image: "i", user: "u", monitors: [], keyFile: "/none" } as const
  for (const side of ["volumes", "others"] as const) {
    const host = await openHost()
    const volumeId = await makeVolume(host)
    const serverId = await makeMachine(host, volumeId)
    const { open } = host[side]
    host[side].open = async () => ceph
    await assert.rejects(move(host, volumeId), isFault("agent.host.ability_missing"))
    assert.deepEqual(await placesOf(host, volumeId), [from])
    host[side].open = open
    await host.agent.handle("vm.destroy", { serverId, fence })
    await move(host, volumeId)
    assert.deepEqual(await placesOf(host, volumeId), [to])
  }
})

test("nobody waits for it any more: it ends, and the volume stays", async () => {
  const host = await openHost()
  const volumeId = await makeVolume(host)
  const serverId = await makeMachine(host, volumeId)
  host.fake.setControl({ copyMs: 600_000 })
  const nobody = new AbortController()
  const moving = move(host, volumeId, nobody.signal)
  moving.catch(() => {})
  await eventually("it to copy", () => host.fake.underWay > 0)
  nobody.abort()
  await assert.rejects(moving)
  assert.deepEqual([await placesOf(host, volumeId), toldOf(host, serverId)], [[from], from])
})
