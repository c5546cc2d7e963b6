// Copies of disks on their way to the image store, over the fake hypervisor.
import assert from "node:assert/strict"
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { utimes } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, afterEach, test } from "node:test"
import { eventually } from "../platform/clock/clock.ts"
import { newUuid } from "../platform/ids/ids.ts"
import { agentFenceStale, agentMachineNotFound, agentSnapshotMissing } from "./faults.ts"
import type { ImageStore } from "./image-cache/image-store.ts"
import { agentDirectories } from "./machine-store.ts"
import type { Fence } from "./protocol.ts"
import { exampleSpec } from "./testing/example-spec.ts"
import { type FakeAgent, openFakeAgent } from "./testing/fake-agent.ts"

const root = mkdtempSync(join(tmpdir(), "kumoi-agent-snapshots-"))
after(() => rmSync(root, { recursive: true }))
let count = 0
const opened: FakeAgent[] = []
afterEach(async () => {
  for (const { agent } of opened.splice(0)) await agent.release()
})

const first: Fence = { generation: 1, fence: 1 }
const second: Fence = { generation: 1, fence: 2 }

async function openBench(store: ImageStore["store"], dataDir = join(root, String(++count))) {
  const made = await openFakeAgent({ dataDir, plugged: new Set(), store })
  opened.push(made)
  const serverId = newUuid()
  const imageId = newUuid()
  await made.agent.handle("vm.ensure", { spec: exampleSpec(serverId), power: "running", fence: first })
  const { snapshots } = agentDirectories(dataDir)
  const path = join(snapshots, `${imageId}.qcow2`)
  return { ...made, dataDir, path, snapshots, snapshot: { serverId, imageId, fence: first } }
}

test("a snapshot is copied on the host, brought to the store as often as asked, and discarded", async () => {
  const stored: unknown[][] = []
  const { agent, path, snapshot, snapshots } = await openBench(async (imageId, ticket, from) => {
    stored.push([imageId, ticket, readFileSync(from).length])
  })
  const { sizeBytes } = await agent.handle("vm.snapshot", snapshot)
  assert.equal(readFileSync(path).length, sizeBytes)
  for (const ticket of ["a", "b"]) await agent.handle("vm.upload_snapshot", { ...snapshot, ticket })
  const { imageId } = snapshot
  assert.deepEqual(stored, [
    [imageId, "a", sizeBytes],
    [imageId, "b", sizeBytes],
  ])
  for (const _ of [1, 2]) await agent.handle("vm.discard_snapshot", snapshot)
  assert.deepEqual(readdirSync(snapshots), [])
  const upload = agent.handle("vm.upload_snapshot", { ...snapshot, ticket: "c" })
  await assert.rejects(upload, agentSnapshotMissing.is)
  await agent.handle("vm.snapshot", snapshot)
  assert.ok(existsSync(path))
})

test("what an upload leaves, also one that failed or died with the agent, can be brought again", async () => {
  let isBroken = true
  const store = async () => {
    if (isBroken) throw new Error("the store is away")
  }
  const one = await openBench(store)
  await one.agent.handle("vm.snapshot", one.snapshot)
  const upload = { ...one.snapshot, ticket: "t" }
  await assert.rejects(one.agent.handle("vm.upload_snapshot", upload), /away/)
  await one.agent.release()
  isBroken = false
  const two = await openFakeAgent({ dataDir: one.dataDir, plugged: new Set(), store })
  opened.push(two)
  await two.agent.handle("vm.upload_snapshot", upload)
})

test("an upload ends when the copy is discarded or made anew, when nobody waits for it, and with the agent", async () => {
  const reasons: string[] = []
  const { agent, path, snapshot } = await openBench(
    (_imageId, _ticket, _path, { signal }) =>
      new Promise((_resolve, reject) => {
        reasons.push("begun")
        signal.addEventListener("abort", () => reject(new Error("ended")))
      }),
  )
  const begun = async (signal?: AbortSignal) => {
    const before = reasons.length
    // No later command of the machine waits for it.
    const ended = assert.rejects(
      agent.handle("vm.upload_snapshot", { ...snapshot, ticket: "t" }, signal),
      /ended/,
    )
    await eventually("the upload", () => reasons.length > before)
    await agent.handle("vm.pause", { serverId: snapshot.serverId, fence: first })
    await agent.handle("vm.unpause", { serverId: snapshot.serverId, fence: first })
    return { ended }
  }
  await agent.handle("vm.snapshot", snapshot)
  const giveUp = new AbortController()
  const one = await begun(giveUp.signal)
  giveUp.abort()
  await one.ended
  const two = await begun()
  await agent.handle("vm.discard_snapshot", snapshot)
  await two.ended
  assert.equal(existsSync(path), false)
  await agent.handle("vm.snapshot", snapshot)
  const three = await begun()
  await agent.handle("vm.snapshot", snapshot)
  await three.ended
  const four = await begun()
  await agent.release()
  await four.ended
})

test("an older run of the task takes nothing from a newer one; a later task does not keep the copy", async () => {
  const { agent, path, snapshot } = await openBench(async () => {})
  const { serverId } = snapshot
  await agent.handle("vm.snapshot", { ...snapshot, fence: second })
  for (const command of ["vm.snapshot", "vm.upload_snapshot", "vm.discard_snapshot"] as const)
    await assert.rejects(agent.handle(command, { ...snapshot, ticket: "t" }), agentFenceStale.is)
  assert.ok(existsSync(path))
  await agent.handle("vm.destroy", { serverId, fence: { generation: 2, fence: 1 } })
  const upload = { ...snapshot, fence: second, ticket: "t" }
  await assert.rejects(agent.handle("vm.upload_snapshot", upload), agentFenceStale.is)
  const late = { ...upload, fence: { generation: 3, fence: 1 } }
  await assert.rejects(agent.handle("vm.upload_snapshot", late), agentMachineNotFound.is)
  await agent.handle("vm.discard_snapshot", { ...snapshot, fence: second })
  assert.equal(existsSync(path), false)
  const outside = { ...snapshot, imageId: "../../vms" }
  await assert.rejects(agent.handle("vm.discard_snapshot", outside), /UUID/)
})

test("a copy that nobody asks for goes when it is old", async () => {
  const one = await openBench(async () => {})
  await one.agent.handle("vm.snapshot", one.snapshot)
  const other = { ...one.snapshot, imageId: newUuid() }
  await one.agent.handle("vm.snapshot", other)
  await one.agent.release()
  const longAgo = new Date(Date.now() - 25 * 3_600_000)
  await utimes(one.path, longAgo, longAgo)
  await openBench(async () => {}, one.dataDir)
  await eventually("the old one to go", () => !existsSync(one.path))
  assert.deepEqual(readdirSync(one.snapshots), [`${other.imageId}.qcow2`])
})
