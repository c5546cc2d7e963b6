// The agent's promises for volumes, over the fake hypervisor and back end.
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
import { readStateFile, writeStateFile } from "../state-file.ts"
import { exampleSpec } from "../testing/example-spec.ts"
import { type FakeAgent, openFakeAgent as open } from "../testing/fake-agent.ts"

const root = mkdtempSync(join(tmpdir(), "kumoi-volume-agent-"))
after(() => rmSync(root, { recursive: true }))
const opened: FakeAgent[] = []
afterEach(async () => {
  for (const { agent } of opened.splice(0)) await agent.release()
})

let count = 0
const newDir = () => join(root, String(++count))
const gib = 1024 ** 3
const fence: Fence = { generation: 1, fence: 2 }
const older: Fence = { generation: 1, fence: 1 }
const newer: Fence = { generation: 2, fence: 0 }
const backend = "fake"

async function openFakeAgent(dataDir = newDir()): Promise<FakeAgent & { dataDir: string }> {
  const made = await open({ dataDir, plugged: new Set() })
  opened.push(made)
  return { ...made, dataDir }
}

/** As after a kill: what the agent held in memory is gone. */
async function restart(from: { agent: FakeAgent["agent"]; dataDir: string }) {
  await from.agent.release()
  return await openFakeAgent(from.dataDir)
}

function isFault(code: string): (error: unknown) => boolean {
  return (error) => error instanceof Fault && error.code === code
}

const diskOf = (volumeId: string): DiskSpec => ({
  name: volumeId,
  source: { kind: "volume", volumeId, backend },
  sizeBytes: gib,
  bus: "virtio",
  bootIndex: null,
})

async function makeVolume({ agent }: FakeAgent): Promise<string> {
  const volumeId = newUuid()
  await agent.handle("volume.create", { volumeId, backend, sizeBytes: gib, fence })
  return volumeId
}

async function makeMachine({ agent }: FakeAgent, volumeIds: string[] = []): Promise<string> {
  const serverId = newUuid()
  await agent.handle("vm.ensure", { spec: specOf(serverId, volumeIds), power: "running", fence })
  return serverId
}

function specOf(serverId: string, volumeIds: string[]) {
  const spec = exampleSpec(serverId)
  return { ...spec, disks: [...spec.disks, ...volumeIds.map(diskOf)] }
}

const holder = async ({ agent }: FakeAgent, volumeId: string) =>
  (await agent.handle("volume.inspect", { volumeId, backend })).serverId

/** Disks that the hypervisor gave the machine. */
const disksOf = async ({ fake }: FakeAgent, serverId: string) =>
  (await fake.diagnostics({ serverId, driver: "fake" })).disks.map(({ name }) => name)

test("the life of a volume: made, seen, listed, extended, deleted, each as often as it is asked for", async () => {
  const host = await openFakeAgent()
  const { agent } = host
  const volumeId = newUuid()
  const create = { volumeId, backend, sizeBytes: gib, fence }
  const facts = { sizeBytes: gib, allocatedBytes: 0 }
  for (const _ of [1, 2]) assert.deepEqual(await agent.handle("volume.create", create), facts)
  const seen = await agent.handle("volume.inspect", { volumeId, backend })
  assert.deepEqual(seen, { volume: facts, serverId: null })
  assert.deepEqual(await agent.handle("volume.list", { backend }), [{ volumeId, ...facts }])
  const extend = { volumeId, backend, sizeBytes: 2 * gib, fence }
  for (const _ of [1, 2]) assert.equal((await agent.handle("volume.extend", extend)).sizeBytes, 2 * gib)
  const smaller = await agent.handle("volume.extend", { ...extend, sizeBytes: gib })
  assert.equal(smaller.sizeBytes, 2 * gib)
  for (const _ of [1, 2]) await agent.handle("volume.delete", { volumeId, backend, fence })
  assert.equal((await agent.handle("volume.inspect", { volumeId, backend })).volume, null)
})

test("a stale command for a volume is refused, before and after the delete, also by the next agent", async () => {
  const host = await openFakeAgent()
  const volumeId = await makeVolume(host)
  const stale = isFault("agent.fence.stale")
  const args = { volumeId, backend, sizeBytes: 2 * gib }
  await assert.rejects(host.agent.handle("volume.extend", { ...args, fence: older }), stale)
  await assert.rejects(host.agent.handle("volume.delete", { ...args, fence: older }), stale)
  await host.agent.handle("volume.delete", { ...args, fence })
  const next = await restart(host)
  await assert.rejects(next.agent.handle("volume.create", { ...args, fence }), stale)
  await next.agent.handle("volume.create", { ...args, fence: newer })
})

test("what no back end or volume can be is refused", async () => {
  const { agent } = await openFakeAgent()
  const right = { volumeId: newUuid(), backend, sizeBytes: gib, fence }
  for (const sizeBytes of [0, -512, 1_000, Number.NaN, 2 ** 60]) {
    await assert.rejects(agent.handle("volume.create", { ...right, sizeBytes }), isFault("request.invalid"))
  }
  const loud = right.volumeId.toUpperCase()
  await assert.rejects(
    agent.handle("volume.create", { ...right, volumeId: loud }),
    isFault("request.invalid"),
  )
  const unknown = { ...right, backend: "tape" }
  await assert.rejects(agent.handle("volume.create", unknown), isFault("agent.volume.backend_unknown"))
  await assert.rejects(agent.handle("volume.extend", right), isFault("agent.volume.not_found"))
})

test("a volume is plugged into a machine that runs or does not, again, and is there after restarts", async () => {
  let host = await openFakeAgent()
  for (const power of ["running", "shutdown"] as const) {
    const volumeId = await makeVolume(host)
    const serverId = newUuid()
    const spec = exampleSpec(serverId)
    await host.agent.handle("vm.ensure", { spec, power, fence })
    const plug = { serverId, disk: diskOf(volumeId), fence }
    for (const _ of [1, 2]) assert.equal((await host.agent.handle("vm.plug_volume", plug)).power, power)
    assert.deepEqual(await disksOf(host, serverId), ["root", volumeId])
    host = await restart(host)
    assert.equal(await holder(host, volumeId), serverId)
    host.fake.losePower([serverId])
    const again = { spec: specOf(serverId, [volumeId]), power: "running" as const, fence }
    await host.agent.handle("vm.ensure", again)
    assert.deepEqual(await disksOf(host, serverId), ["root", volumeId])
    const unplug = { serverId, volumeId, fence }
    for (const _ of [1, 2]) await host.agent.handle("vm.unplug_volume", unplug)
    assert.deepEqual(await disksOf(host, serverId), ["root"])
    host = await restart(host)
    assert.equal(await holder(host, volumeId), null)
  }
})

test("a volume has one machine, and is not deleted while it has one", async () => {
  const host = await openFakeAgent()
  const { agent } = host
  const volumeId = await makeVolume(host)
  const [first, second] = [await makeMachine(host, [volumeId]), await makeMachine(host)]
  const inUse = isFault("agent.volume.in_use")
  await assert.rejects(agent.handle("volume.delete", { volumeId, backend, fence }), inUse)
  const plug = (serverId: string) =>
    agent.handle("vm.plug_volume", { serverId, disk: diskOf(volumeId), fence })
  await assert.rejects(plug(second), inUse)
  const third = { spec: specOf(newUuid(), [volumeId]), power: "running" as const, fence }
  await assert.rejects(agent.handle("vm.ensure", third), inUse)
  assert.equal((await agent.handle("vm.list", {})).length, 2)
  // Two at once: one has it.
  await agent.handle("vm.unplug_volume", { serverId: first, volumeId, fence })
  const both = await Promise.allSettled([plug(first), plug(second)])
  assert.deepEqual(both.map(({ status }) => status).sort(), ["fulfilled", "rejected"])
  const [has] = [await holder(host, volumeId)]
  assert.ok(has)
  await agent.handle("vm.destroy", { serverId: has, fence })
  assert.equal((await agent.handle("volume.inspect", { volumeId, backend })).volume?.sizeBytes, gib)
  // The refused delete has left no tombstone.
  await agent.handle("volume.extend", { volumeId, backend, sizeBytes: 2 * gib, fence })
  await agent.handle("volume.delete", { volumeId, backend, fence })
})

test("a guest that does not let go keeps its volume, in the record as well", async () => {
  const host = await openFakeAgent()
  const volumeId = await makeVolume(host)
  const serverId = await makeMachine(host, [volumeId])
  host.fake.setControl({ guestsKeepVolumes: true })
  const unplug = () => host.agent.handle("vm.unplug_volume", { serverId, volumeId, fence })
  await assert.rejects(unplug(), isFault("agent.machine.guest_keeps_device"))
  assert.equal(await holder(host, volumeId), serverId)
  assert.deepEqual(await disksOf(host, serverId), ["root", volumeId])
  host.fake.setControl({ guestsKeepVolumes: false })
  await unplug()
  assert.equal(await holder(host, volumeId), null)
})

test("a plug that fails leaves the machine without the volume, unless its guest has it", async () => {
  const host = await openFakeAgent()
  const volumeId = await makeVolume(host)
  const serverId = await makeMachine(host)
  const plug = () => host.agent.handle("vm.plug_volume", { serverId, disk: diskOf(volumeId), fence })
  host.fake.setControl({ fail: { operation: "plugVolume", at: 1 } })
  await assert.rejects(plug(), isFault("agent.machine.start_failed"))
  assert.equal(await holder(host, volumeId), null)
  const gone = { ...diskOf(newUuid()) }
  const missing = { ...gone, source: { kind: "volume" as const, volumeId: gone.name, backend } }
  const plugMissing = host.agent.handle("vm.plug_volume", { serverId, disk: missing, fence })
  await assert.rejects(plugMissing, isFault("agent.volume.not_found"))
  // Plugged, but what follows fails, and so does the way back.
  host.fake.setControl({ fail: { operation: "inspect", at: 1 }, guestsKeepVolumes: true })
  await assert.rejects(plug(), isFault("agent.machine.start_failed"))
  assert.equal(await holder(host, volumeId), serverId)
  host.fake.setControl({ fail: null, guestsKeepVolumes: false })
  await plug()
  assert.deepEqual(await disksOf(host, serverId), ["root", volumeId])
})

test("a crash in the middle of a plug or an unplug leaves a record that claims the volume, and either ends it", async () => {
  let host = await openFakeAgent()
  const volumeId = await makeVolume(host)
  const serverId = await makeMachine(host)
  const handle = { serverId, driver: "fake" }
  const disk = diskOf(volumeId)
  for (const ending of ["plug", "unplug"] as const) {
    // The record had been written, and nothing more.
    await host.agent.release()
    const file = join(agentDirectories(host.dataDir).vms, serverId, "machine.json")
    const record = readStateFile(file) as MachineRecord
    await writeStateFile(file, { ...record, spec: specOf(serverId, [volumeId]) })
    host = await openFakeAgent(host.dataDir)
    assert.equal(await holder(host, volumeId), serverId)
    if (ending === "plug") {
      await host.agent.handle("vm.plug_volume", { serverId, disk, fence })
      assert.deepEqual(await disksOf(host, serverId), ["root", volumeId])
      // The guest had let go, and the record was not written any more.
      await host.fake.unplugVolume(handle, volumeId)
      host = await restart(host)
    }
    assert.equal(await holder(host, volumeId), serverId)
    await host.agent.handle("vm.unplug_volume", { serverId, volumeId, fence })
    assert.equal(await holder(host, volumeId), null)
  }
})

test("an ensure gives a living machine the volumes that are new and takes those that are gone", async () => {
  const host = await openFakeAgent()
  const { agent } = host
  const [kept, gone, added] = [await makeVolume(host), await makeVolume(host), await makeVolume(host)]
  const serverId = await makeMachine(host, [kept, gone])
  const spec = specOf(serverId, [kept, added])
  const ensure = () => agent.handle("vm.ensure", { spec, power: "running", fence })
  host.fake.setControl({ guestsKeepVolumes: true })
  await assert.rejects(ensure(), isFault("agent.machine.guest_keeps_device"))
  assert.equal(await holder(host, gone), serverId)
  host.fake.setControl({ guestsKeepVolumes: false, fail: { operation: "plugVolume", at: 1 } })
  const fresh = { spec: specOf(serverId, [kept]), power: "running" as const, fence }
  await agent.handle("vm.ensure", fresh)
  await assert.rejects(ensure(), isFault("agent.machine.start_failed"))
  assert.equal(await holder(host, added), null)
  await ensure()
  assert.equal(await holder(host, added), serverId)
  assert.equal(await holder(host, gone), null)
  assert.deepEqual((await disksOf(host, serverId)).sort(), ["root", kept, added].sort())
})

test("a disk that is none of a volume, or has another name or bus, is refused", async () => {
  const host = await openFakeAgent()
  const volumeId = await makeVolume(host)
  const serverId = await makeMachine(host)
  const disk = diskOf(volumeId)
  const blank = { kind: "blank" as const, fsLabel: null }
  const plug = (change: Partial<DiskSpec>) =>
    host.agent.handle("vm.plug_volume", { serverId, disk: { ...disk, ...change }, fence })
  await assert.rejects(plug({ source: blank }), isFault("request.invalid"))
  await assert.rejects(plug({ name: newUuid() }), isFault("request.invalid"))
  await assert.rejects(plug({ bus: "ide" }), isFault("agent.machine.property_unsupported"))
  const twice = { spec: specOf(newUuid(), [volumeId, volumeId]), power: "running" as const, fence }
  await assert.rejects(host.agent.handle("vm.ensure", twice), isFault("request.invalid"))
  assert.equal(await holder(host, volumeId), null)
})

test("a volume that grows is larger in its machine's record too", async () => {
  const host = await openFakeAgent()
  const volumeId = await makeVolume(host)
  const serverId = await makeMachine(host, [volumeId])
  await host.agent.handle("volume.extend", { volumeId, backend, sizeBytes: 3 * gib, fence })
  const { here } = await host.agent.handle("host.unknown", { serverIds: [serverId] })
  assert.equal(here[0]?.spec?.disks.find(({ name }) => name === volumeId)?.sizeBytes, 3 * gib)
})

test("a machine that is set aside leaves its volumes; it comes back only while nobody else has them", async () => {
  const host = await openFakeAgent()
  const { agent } = host
  const volumeId = await makeVolume(host)
  const [first, second] = [await makeMachine(host, [volumeId]), await makeMachine(host)]
  const { entry } = await agent.handle("vm.set_aside", { serverId: first, why: "a test", fence: null })
  assert.equal(await holder(host, volumeId), null)
  await agent.handle("vm.plug_volume", { serverId: second, disk: diskOf(volumeId), fence })
  await assert.rejects(agent.handle("vm.take_back", { entry }), isFault("agent.volume.in_use"))
  await agent.handle("vm.unplug_volume", { serverId: second, volumeId, fence })
  assert.equal((await agent.handle("vm.take_back", { entry })).power, "shutdown")
  assert.equal(await holder(host, volumeId), first)
  assert.equal((await agent.handle("volume.inspect", { volumeId, backend })).volume?.sizeBytes, gib)
})

test("the reports and the description of the host name its pools", async () => {
  const host = await openFakeAgent()
  const { pools } = await host.agent.handle("host.describe", {})
  assert.deepEqual(
    pools?.map((pool) => [pool.backend, pool.abilities.thinProvisioning, pool.freeBytes > 0]),
    [["fake", true, true]],
  )
  const alive = await eventually("the report", () => host.reports.find(({ kind }) => kind === "alive"))
  assert.ok(alive.kind === "alive")
  assert.deepEqual(alive.pools, pools)
})

test("a back end that fails fails the command, and the next one ends it", async () => {
  const host = await openFakeAgent()
  const volumeId = newUuid()
  const create = () => host.agent.handle("volume.create", { volumeId, backend, sizeBytes: gib, fence })
  host.volumes.setControl({ failNext: 1 })
  await assert.rejects(create(), isFault("agent.volume.open_failed"))
  await create()
})

test("until the host agrees with a restored database, what it has deleted is kept aside", async () => {
  const host = await openFakeAgent()
  const { agent, volumes } = host
  const [before, after] = [await makeVolume(host), await makeVolume(host)]
  const aside: string[] = []
  const { setAside } = volumes
  volumes.setAside = async (volumeId) => {
    aside.push(volumeId)
    await setAside.call(volumes, volumeId)
  }
  await agent.handle("host.epoch", { enter: { number: 1, id: "one" } })
  const restored = { ...newer, epoch: 2 }
  await agent.handle("volume.delete", { volumeId: before, backend, fence: restored })
  assert.deepEqual(aside, [before])
  await assert.rejects(
    agent.handle("volume.delete", { volumeId: after, backend, fence: newer }),
    isFault("agent.fence.stale"),
  )
  await agent.handle("host.epoch", { enter: { number: 2, id: "two" } })
  await agent.handle("volume.delete", { volumeId: after, backend, fence: restored })
  assert.deepEqual(aside, [before])
})
