// What the agent remembers of a guest that was to go to another host and has not.
import assert from "node:assert/strict"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, test } from "node:test"
import { eventually } from "../platform/clock/clock.ts"
import { newUuid } from "../platform/ids/ids.ts"
import { linkedPair } from "../platform/streams/pair.ts"
import { agentLiveAborted, agentMachineExists } from "./faults.ts"
import { exampleSpec } from "./testing/example-spec.ts"
import { openFakeAgent } from "./testing/fake-agent.ts"

const root = mkdtempSync(join(tmpdir(), "kumoi-live-agent-"))
after(() => rmSync(root, { recursive: true }))

test("a guest that went on where it was starts again with its host", async () => {
  const bench = { dataDir: join(root, "one"), plugged: new Set<string>() }
  const serverId = newUuid()
  const fence = { generation: 1, fence: 1 }
  const streams = {
    dial: async () => {
      const [own, theirs] = linkedPair()
      theirs.destroy()
      return own
    },
  }
  const { agent, fake } = await openFakeAgent({ ...bench, streams })
  await agent.handle("vm.ensure", { spec: exampleSpec(serverId), power: "running", fence })
  const args = { serverId, streamIds: { memory: "x", root: "y" }, downtimeMs: 1, timeoutMs: 1_000, fence }
  await assert.rejects(agent.handle("vm.send_live", args))
  assert.equal((await agent.handle("vm.inspect", { serverId })).power, "running")
  // Whoever sent it away says nothing more: the cloud is down, or another task has the server.
  await agent.release()
  fake.losePower()
  const again = await openFakeAgent({ ...bench, bootId: "boot-2", resumePausesMs: [] })
  try {
    await eventually(
      "the guest to run again",
      async () => (await again.agent.handle("vm.inspect", { serverId })).power === "running",
    )
  } finally {
    await again.agent.release()
  }
})

test("what comes takes the place of no guest that is here", async () => {
  const bench = { dataDir: join(root, "two"), plugged: new Set<string>() }
  const serverId = newUuid()
  const { agent } = await openFakeAgent(bench)
  try {
    const spec = exampleSpec(serverId)
    await agent.handle("vm.ensure", { spec, power: "running", fence: { generation: 1, fence: 1 } })
    const layout = { machineType: "pc-i440fx-7.2", places: {} }
    const how = { streamIds: { memory: "x" } }
    // As of a restored database, which has not heard that the guest is here since.
    await assert.rejects(
      agent.handle("vm.receive_live", { spec, layout, ...how, fence: { generation: 3, fence: 1 } }),
      agentMachineExists.is,
    )
    assert.equal((await agent.handle("vm.inspect", { serverId })).power, "running")
  } finally {
    await agent.release()
  }
})

test("who ends a machine does not wait until it is on another host", async () => {
  const bench = { dataDir: join(root, "three"), plugged: new Set<string>() }
  const serverId = newUuid()
  const { agent, fake } = await openFakeAgent({ ...bench, streams: { dial: async () => linkedPair()[0] } })
  try {
    const first = { generation: 1, fence: 1 }
    await agent.handle("vm.ensure", { spec: exampleSpec(serverId), power: "running", fence: first })
    fake.setControl({ copyMs: 600_000 })
    const args = { serverId, streamIds: { memory: "x", root: "y" }, downtimeMs: 1, timeoutMs: 600_000 }
    const sending = assert.rejects(
      agent.handle("vm.send_live", { ...args, fence: first }),
      agentLiveAborted.is,
    )
    await eventually("it to be on its way", () => fake.underWay > 0)
    // A task of before has no say in it.
    const stale = { generation: 0, fence: 1 }
    agent.handle("vm.stop", { serverId, graceMs: 0, fence: stale }).catch(() => {})
    assert.equal(fake.underWay, 1)
    const stopped = await agent.handle("vm.stop", {
      serverId,
      graceMs: 0,
      fence: { generation: 2, fence: 1 },
    })
    assert.equal(stopped.power, "shutdown")
    await sending
  } finally {
    await agent.release()
  }
})
