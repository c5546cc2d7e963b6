// What the agent promises for volumes that are made from something, over the fake hypervisor and back end.
import assert from "node:assert/strict"
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, afterEach, test } from "node:test"
import { setImmediate as immediate } from "node:timers/promises"
import { eventually } from "../../platform/clock/clock.ts"
import { Fault } from "../../platform/fault/fault.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { type ImageCache, imageKey } from "../image-cache/image-cache.ts"
import { noImageCache } from "../image-cache/no-image-cache.ts"
import { agentDirectories } from "../machine-store.ts"
import type { AgentCommands, DiskSpec, Fence } from "../protocol.ts"
import { exampleSpec } from "../testing/example-spec.ts"
import { type FakeAgent, openFakeAgent as open } from "../testing/fake-agent.ts"

const root = mkdtempSync(join(tmpdir(), "kumoi-volume-copies-"))
after(() => rmSync(root, { recursive: true }))
const opened: FakeAgent[] = []
afterEach(async () => {
  for (const { agent } of opened.splice(0)) await agent.release()
})

let count = 0
const gib = 1024 ** 3
const backend = "fake"
const fence: Fence = { generation: 1, fence: 2 }
const older: Fence = { generation: 1, fence: 1 }

type Host = FakeAgent & { dataDir: string }

async function openHost(options: Partial<Parameters<typeof open>[0]> = {}): Promise<Host> {
  const dataDir = options.dataDir ?? join(root, String(++count))
  const made = await open({ plugged: new Set(), ...options, dataDir })
  opened.push(made)
  return { ...made, dataDir }
}

const isFault = (code: string) => (error: unknown) => error instanceof Fault && error.code === code

async function makeVolume({ agent }: Host, sizeBytes = gib): Promise<string> {
  const volumeId = newUuid()
  await agent.handle("volume.create", { volumeId, backend, sizeBytes, fence })
  return volumeId
}

const diskOf = (volumeId: string): DiskSpec => ({
  name: volumeId,
  source: { kind: "volume", volumeId, backend },
  ...{ sizeBytes: gib, bus: "virtio", bootIndex: null },
})

function specWith(serverId: string, volumeIds: string[]) {
  const spec = exampleSpec(serverId)
  return { ...spec, disks: [...spec.disks, ...volumeIds.map(diskOf)] }
}

async function makeMachine({ agent }: Host, volumeIds: string[], power: "running" | "shutdown" = "running") {
  const serverId = newUuid()
  await agent.handle("vm.ensure", { spec: specWith(serverId, volumeIds), power, fence })
  return serverId
}

function copyOf(volumeId: string, sizeBytes = gib): AgentCommands["volume.create"]["args"] {
  return { volumeId: newUuid(), backend, sizeBytes, source: { kind: "volume", volumeId }, fence }
}

/** What waits until it is told to end. */
class Gate {
  #end: (() => void) | null = null

  wait = async (): Promise<void> => {
    await new Promise<void>((resolve) => {
      this.#end = resolve
    })
  }

  async isEntered(): Promise<void> {
    await eventually("somebody to wait", () => this.#end !== null)
  }

  async end(): Promise<void> {
    const end = await eventually("somebody to wait", () => this.#end)
    this.#end = null
    end()
  }
}

/** Settled or not, after everything that takes no time. */
function watch<T>(promise: Promise<T>): { promise: Promise<T>; isOver: () => boolean } {
  let isOver = false
  const end = () => {
    isOver = true
  }
  promise.then(end, end)
  return { promise, isOver: () => isOver }
}

/** Its guests' volumes are copied. */
async function copies({ fake }: Host, volumes = 1): Promise<void> {
  await eventually("it to copy", () => fake.underWay === volumes)
}

async function settle(): Promise<void> {
  for (let n = 0; n < 200; n++) await immediate()
}

test("a volume is made from another as often as it is asked for; the two are then of their own", async () => {
  const host = await openHost()
  const { agent } = host
  const volumeId = await makeVolume(host)
  const create = copyOf(volumeId, 2 * gib)
  for (const _ of [1, 2]) assert.equal((await agent.handle("volume.create", create)).sizeBytes, 2 * gib)
  const stale = { ...create, fence: older }
  await assert.rejects(agent.handle("volume.create", stale), isFault("agent.fence.stale"))
  const small = copyOf(volumeId, gib / 2)
  await assert.rejects(agent.handle("volume.create", small), isFault("agent.volume.too_small"))
  await assert.rejects(agent.handle("volume.create", copyOf(newUuid())), isFault("agent.volume.not_found"))
  const itself = { ...create, source: { kind: "volume" as const, volumeId: create.volumeId } }
  await assert.rejects(agent.handle("volume.create", itself), isFault("request.invalid"))
  await agent.handle("volume.delete", { volumeId, backend, fence })
  assert.equal((await agent.handle("volume.create", create)).sizeBytes, 2 * gib)
  await agent.handle("volume.delete", { volumeId: create.volumeId, backend, fence })
})

test("a volume is reverted to a smaller one and keeps its size, unless a machine has it", async () => {
  const host = await openHost()
  const { agent } = host
  const [volumeId, fromVolumeId] = [await makeVolume(host, 2 * gib), await makeVolume(host)]
  const revert = { volumeId, backend, fromVolumeId, fence }
  for (const _ of [1, 2]) assert.equal((await agent.handle("volume.revert", revert)).sizeBytes, 2 * gib)
  await assert.rejects(
    agent.handle("volume.revert", { ...revert, fence: older }),
    isFault("agent.fence.stale"),
  )
  const larger = { ...revert, volumeId: fromVolumeId, fromVolumeId: volumeId }
  await assert.rejects(agent.handle("volume.revert", larger), isFault("agent.volume.too_small"))
  await makeMachine(host, [volumeId], "shutdown")
  await assert.rejects(agent.handle("volume.revert", revert), isFault("agent.volume.in_use"))
})

test("while a guest's volume is copied the machine obeys, and what would take the volume away waits", async () => {
  const host = await openHost()
  const { agent, fake } = host
  const volumeId = await makeVolume(host)
  const serverId = await makeMachine(host, [volumeId])
  const other = await makeMachine(host, [])
  fake.setControl({ copyMs: 3_600_000 })
  const create = copyOf(volumeId)
  const copying = watch(agent.handle("volume.create", create))
  await copies(host)
  await agent.handle("vm.pause", { serverId, fence })
  await agent.handle("vm.unpause", { serverId, fence })
  const created = await agent.handle("volume.inspect", { volumeId: create.volumeId, backend })
  assert.equal(created.volume, null)
  const extend = watch(agent.handle("volume.extend", { volumeId, backend, sizeBytes: 2 * gib, fence }))
  const unplug = watch(agent.handle("vm.unplug_volume", { serverId, volumeId, fence }))
  const plug = watch(agent.handle("vm.plug_volume", { serverId: other, disk: diskOf(volumeId), fence }))
  const remove = watch(agent.handle("volume.delete", { volumeId, backend, fence }))
  const removeCopy = watch(agent.handle("volume.delete", { volumeId: create.volumeId, backend, fence }))
  await settle()
  const all = [copying, extend, unplug, plug, remove, removeCopy]
  assert.deepEqual(
    all.map(({ isOver }) => isOver()),
    all.map(() => false),
  )
  fake.setControl({ copyMs: 0 })
  assert.equal((await copying.promise).sizeBytes, gib)
  await Promise.allSettled(all.map(({ promise }) => promise))
  const left = await agent.handle("volume.inspect", { volumeId: create.volumeId, backend })
  assert.equal(left.volume, null)
})

test("a machine that is off can be destroyed and not started while its volume is copied", async () => {
  const host = await openHost()
  const { agent, volumes } = host
  const volumeId = await makeVolume(host)
  const serverId = await makeMachine(host, [volumeId], "shutdown")
  const gate = new Gate()
  // Copied from outside, and that takes its time.
  const { create } = volumes
  volumes.create = async (id, sizeBytes, origin) => {
    if (origin?.kind !== "volume") return await create.call(volumes, id, sizeBytes, origin)
    await origin.take({ to: { kind: "nothing" }, copyStill: gate.wait, copyImage: gate.wait })
    return await create.call(volumes, id, sizeBytes, null)
  }
  const copying = watch(agent.handle("volume.create", copyOf(volumeId)))
  await gate.isEntered()
  const unpause = watch(agent.handle("vm.unpause", { serverId, fence }))
  await settle()
  assert.deepEqual([copying.isOver(), unpause.isOver()], [false, false])
  await gate.end()
  await Promise.all([copying.promise, unpause.promise])
  await agent.handle("vm.stop", { serverId, graceMs: 0, fence })
  const second = watch(agent.handle("volume.create", copyOf(volumeId)))
  await gate.isEntered()
  const spec = specWith(serverId, [volumeId])
  const ensure = watch(agent.handle("vm.ensure", { spec, power: "running", fence }))
  await settle()
  assert.deepEqual([second.isOver(), ensure.isOver()], [false, false])
  await gate.end()
  await Promise.all([second.promise, ensure.promise])
  await agent.handle("vm.stop", { serverId, graceMs: 0, fence })
  const third = watch(agent.handle("volume.create", copyOf(volumeId)))
  await gate.isEntered()
  await agent.handle("vm.destroy", { serverId, fence })
  assert.equal(third.isOver(), false)
  await gate.end()
  await third.promise
})

test("a suspend waits for the copy of its guest's volume", async () => {
  const host = await openHost()
  const volumeId = await makeVolume(host)
  const serverId = await makeMachine(host, [volumeId])
  host.fake.setControl({ copyMs: 3_600_000 })
  const copying = watch(host.agent.handle("volume.create", copyOf(volumeId)))
  await copies(host)
  const suspend = watch(host.agent.handle("vm.suspend", { serverId, fence }))
  await settle()
  assert.deepEqual([copying.isOver(), suspend.isOver()], [false, false])
  host.fake.setControl({ copyMs: 0 })
  const { power } = await suspend.promise
  assert.deepEqual([copying.isOver(), power], [true, "suspended"])
  await host.agent.handle("volume.create", copyOf(volumeId))
})

test("a machine that is stopped breaks the copy; asked for again, it is made of the volume at rest", async () => {
  const host = await openHost()
  const { agent, fake } = host
  const volumeId = await makeVolume(host)
  const serverId = await makeMachine(host, [volumeId])
  fake.setControl({ copyMs: 3_600_000 })
  const create = copyOf(volumeId)
  const copying = watch(agent.handle("volume.create", create))
  await copies(host)
  await agent.handle("vm.stop", { serverId, graceMs: 0, fence })
  fake.setControl({ copyMs: 0 })
  await assert.rejects(copying.promise, isFault("agent.volume.copy_broken"))
  assert.equal((await agent.handle("volume.create", create)).sizeBytes, gib)
})

test("an agent that stops ends what it copies, and the next one makes it", async () => {
  const host = await openHost()
  const volumeId = await makeVolume(host)
  await makeMachine(host, [volumeId])
  host.fake.setControl({ copyMs: 3_600_000 })
  const create = copyOf(volumeId)
  const copying = watch(host.agent.handle("volume.create", create))
  await copies(host)
  await host.agent.release()
  await assert.rejects(copying.promise, isFault("agent.host.stopping"))
  const next = await openHost({ dataDir: host.dataDir })
  assert.equal((await next.agent.handle("volume.create", create)).sizeBytes, gib)
})

test("a caller that waits no more ends the copy", async () => {
  const host = await openHost()
  const volumeId = await makeVolume(host)
  await makeMachine(host, [volumeId])
  host.fake.setControl({ copyMs: 3_600_000 })
  const giveUp = new AbortController()
  const copying = watch(host.agent.handle("volume.create", copyOf(volumeId), giveUp.signal))
  await copies(host)
  giveUp.abort()
  await assert.rejects(copying.promise)
})

test("copies both ways, reverts, plugs and unplugs at once come to an end, whatever their order", async () => {
  const host = await openHost()
  const { agent, fake } = host
  const [a, b] = [await makeVolume(host), await makeVolume(host)]
  const serverId = await makeMachine(host, [a])
  fake.setControl({ copyMs: 1 })
  const work: Promise<unknown>[] = []
  for (let n = 0; n < 5; n++) {
    work.push(
      agent.handle("volume.create", copyOf(a)),
      agent.handle("vm.unplug_volume", { serverId, volumeId: a, fence }),
      agent.handle("volume.revert", { volumeId: a, backend, fromVolumeId: b, fence }),
      agent.handle("volume.create", copyOf(b)),
      agent.handle("vm.plug_volume", { serverId, disk: diskOf(a), fence }),
      agent.handle("volume.revert", { volumeId: b, backend, fromVolumeId: a, fence }),
      agent.handle("volume.extend", { volumeId: a, backend, sizeBytes: gib, fence }),
    )
  }
  for (const outcome of await Promise.allSettled(work)) {
    // A revert of what a machine has.
    if (outcome.status === "rejected")
      assert.ok(isFault("agent.volume.in_use")(outcome.reason), outcome.reason)
  }
})

test("an image that a volume is made from is shown its ticket, and stays in the cache meanwhile", async () => {
  const gate = new Gate()
  const seen: { ticket: string | undefined; isKept: boolean }[] = []
  const images: ImageCache = {
    ...noImageCache,
    ensureImage: async (request, inUse) => {
      await gate.wait()
      seen.push({ ticket: request.ticket, isKept: inUse().has(imageKey(request)) })
      return await noImageCache.ensureImage(request, inUse)
    },
  }
  const { agent } = await openHost({ images })
  const imageId = newUuid()
  const source = { kind: "image" as const, imageId, checksum: "0".repeat(32), diskFormat: "raw" }
  const volumeId = newUuid()
  const create = { volumeId, backend, sizeBytes: gib, source, tickets: { [imageId]: "t" }, fence }
  const making = watch(agent.handle("volume.create", create))
  await settle()
  assert.equal(making.isOver(), false)
  await gate.end()
  await making.promise
  assert.deepEqual(seen, [{ ticket: "t", isKept: true }])
  await agent.handle("volume.create", create)
  assert.equal(seen.length, 1)
})

test("a volume becomes an image; its file is there only while it is stored", async () => {
  const stored: { imageId: string; ticket: string; files: string[] }[] = []
  let fails = false
  const host: Host = await openHost({
    store: async (imageId, ticket) => {
      stored.push({ imageId, ticket, files: readdirSync(uploads) })
      if (fails) throw new Error("the store is away")
    },
  })
  const uploads = agentDirectories(host.dataDir).volumeUploads
  const { agent } = host
  const volumeId = await makeVolume(host)
  await makeMachine(host, [volumeId])
  const imageId = newUuid()
  const upload = { volumeId, backend, imageId, diskFormat: "qcow2", ticket: "t", fence }
  for (const _ of [1, 2]) assert.deepEqual(await agent.handle("volume.upload", upload), {})
  fails = true
  await assert.rejects(agent.handle("volume.upload", upload), /the store is away/)
  assert.equal(stored.length, 3)
  for (const { files, ...said } of stored) {
    assert.deepEqual(said, { imageId, ticket: "t" })
    assert.equal(files.length, 1)
  }
  assert.deepEqual(readdirSync(uploads), [])
  await assert.rejects(
    agent.handle("volume.upload", { ...upload, fence: older }),
    isFault("agent.fence.stale"),
  )
  const tape = { ...upload, diskFormat: "tape" }
  await assert.rejects(agent.handle("volume.upload", tape), isFault("request.invalid"))
  const missing = { ...upload, volumeId: newUuid() }
  await assert.rejects(agent.handle("volume.upload", missing), isFault("agent.volume.not_found"))
})

test("what an upload has left of an agent that was killed is removed by the next one", async () => {
  const dataDir = join(root, String(++count))
  const uploads = agentDirectories(dataDir).volumeUploads
  mkdirSync(uploads, { recursive: true })
  writeFileSync(join(uploads, newUuid()), "half an image")
  await openHost({ dataDir })
  assert.equal(existsSync(uploads), false)
})

test("an upload does not hold the volume while it is stored", async () => {
  const gate = new Gate()
  const host = await openHost({ store: gate.wait })
  const volumeId = await makeVolume(host)
  const args = { volumeId, backend, imageId: newUuid(), diskFormat: "raw", ticket: "t", fence }
  const uploading = watch(host.agent.handle("volume.upload", args))
  await gate.isEntered()
  await host.agent.handle("volume.delete", { volumeId, backend, fence })
  assert.equal(uploading.isOver(), false)
  await gate.end()
  await uploading.promise
})

test("a back end that hangs is left out of what the host reports, which is not late, and is asked once", async () => {
  const dataDir = join(root, String(++count))
  const host = await openHost({ dataDir, poolTimeoutMs: 30 })
  let asked = 0
  const gate = new Gate()
  const { capacity } = host.volumes
  host.volumes.capacity = async () => {
    asked++
    await gate.wait()
    return await capacity.call(host.volumes)
  }
  for (const _ of [1, 2]) assert.deepEqual((await host.agent.handle("host.describe", {})).pools, [])
  assert.equal(asked, 1)
  await gate.end()
  host.volumes.capacity = capacity
  await eventually("it to be reported", async () => {
    return (await host.agent.handle("host.describe", {})).pools?.length === 1
  })
})

function copiesOf(volumeIds: readonly string[], sizeBytes = gib) {
  return volumeIds.map((fromVolumeId) => ({ volumeId: newUuid(), fromVolumeId, sizeBytes, fence }))
}

async function areThere({ agent }: Host, copies: readonly { volumeId: string }[]): Promise<boolean[]> {
  const found = copies.map(({ volumeId }) => agent.handle("volume.inspect", { volumeId, backend }))
  return (await Promise.all(found)).map(({ volume }) => volume !== null)
}

test("volumes of one machine and volumes at rest are copied together, as often as it is asked for", async () => {
  const host = await openHost()
  const { agent } = host
  const [a, b, c] = [await makeVolume(host), await makeVolume(host), await makeVolume(host)]
  await makeMachine(host, [a, b])
  const volumes = copiesOf([a, c, b])
  for (const _ of [1, 2]) await agent.handle("volume.create_together", { backend, volumes })
  assert.deepEqual(await areThere(host, volumes), [true, true, true])
  const larger = volumes.map((one) => ({ ...one, sizeBytes: 2 * gib }))
  await assert.rejects(
    agent.handle("volume.create_together", { backend, volumes: larger }),
    isFault("agent.volume.exists"),
  )
  const stale = volumes.map((one, n) => (n === 2 ? { ...one, fence: older } : one))
  await assert.rejects(
    agent.handle("volume.create_together", { backend, volumes: stale }),
    isFault("agent.fence.stale"),
  )
  assert.deepEqual(await areThere(host, volumes), [true, true, true])
})

test("of copies that are made together a missing one makes all anew, unless one was deleted since", async () => {
  const host = await openHost()
  const { agent } = host
  const [a, b] = [await makeVolume(host), await makeVolume(host)]
  const volumes = copiesOf([a, b])
  await agent.handle("volume.create_together", { backend, volumes })
  const made: string[] = []
  const { create } = host.volumes
  host.volumes.create = async (id, ...rest) => {
    made.push(id)
    return await create.call(host.volumes, id, ...rest)
  }
  const [first, second] = volumes
  // As a crash leaves it.
  await host.volumes.delete(second?.volumeId ?? "")
  await agent.handle("volume.create_together", { backend, volumes })
  assert.deepEqual(
    made.toSorted(),
    volumes.map(({ volumeId }) => volumeId).toSorted(),
    "none is of another moment than the others",
  )
  const later: Fence = { generation: 2, fence: 1 }
  await agent.handle("volume.delete", { volumeId: second?.volumeId ?? "", backend, fence: later })
  await assert.rejects(
    agent.handle("volume.create_together", { backend, volumes }),
    isFault("agent.fence.stale"),
  )
  assert.deepEqual(await areThere(host, [first ?? { volumeId: "" }]), [true], "a late repeat removes nothing")
})

test("of volumes that cannot all be copied none waits for the others", async () => {
  const host = await openHost()
  const { agent, fake } = host
  const [a, b] = [await makeVolume(host), await makeVolume(host)]
  await makeMachine(host, [a, b])
  fake.setControl({ copyMs: 3_600_000 })
  const [first, second] = copiesOf([a, b])
  const { create } = host.volumes
  host.volumes.create = async (id, ...rest) => {
    if (id === second?.volumeId) throw new Error("the disk is broken")
    return await create.call(host.volumes, id, ...rest)
  }
  const volumes = [first, second].filter((one) => one !== undefined)
  await assert.rejects(agent.handle("volume.create_together", { backend, volumes }), /the disk is broken/)
  const none = agent.handle("volume.create_together", { backend, volumes: [] })
  await assert.rejects(none, isFault("request.invalid"))
  const itself = volumes.map((one) => ({ ...one, fromVolumeId: one.volumeId }))
  await assert.rejects(
    agent.handle("volume.create_together", { backend, volumes: itself }),
    isFault("request.invalid"),
  )
})

test("volumes of two machines are not copied together, and a machine that stops breaks the copies", async () => {
  const host = await openHost()
  const { agent, fake } = host
  const [a, b, c] = [await makeVolume(host), await makeVolume(host), await makeVolume(host)]
  const serverId = await makeMachine(host, [a, b])
  await makeMachine(host, [c])
  await assert.rejects(
    agent.handle("volume.create_together", { backend, volumes: copiesOf([a, c]) }),
    isFault("agent.volume.apart"),
  )
  fake.setControl({ copyMs: 3_600_000 })
  const volumes = copiesOf([a, b])
  const copying = watch(agent.handle("volume.create_together", { backend, volumes }))
  await copies(host, 2)
  await agent.handle("vm.stop", { serverId, graceMs: 0, fence })
  fake.setControl({ copyMs: 0 })
  await assert.rejects(copying.promise, isFault("agent.volume.copy_broken"))
  await agent.handle("volume.create_together", { backend, volumes })
  assert.deepEqual(await areThere(host, volumes), [true, true])
})
