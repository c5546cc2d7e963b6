import assert from "node:assert/strict"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, afterEach, test } from "node:test"
import { type Clock, eventually, systemClock } from "../../platform/clock/clock.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import type { MetadataNetwork } from "../protocol.ts"
import { type FakeAgent, openFakeAgent } from "../testing/fake-agent.ts"

const root = mkdtempSync(join(tmpdir(), "kumoi-agent-metadata-"))
after(() => rmSync(root, { recursive: true }))
let count = 0
const opened: FakeAgent[] = []
afterEach(async () => {
  for (const { agent } of opened.splice(0)) await agent.release()
})

function network(): MetadataNetwork {
  return {
    networkId: newUuid(),
    portId: newUuid(),
    macAddress: "fa:16:3e:00:00:01",
    serviceIps: ["10.0.0.2"],
  }
}

/** Its pauses pass at once, as often as is allowed. */
function hurriedClock(turns: { left: number }): Clock {
  const sleep = async (ms: number, signal?: AbortSignal) =>
    turns.left-- > 0 ? await systemClock.sleep(1, signal) : await systemClock.sleep(ms, signal)
  return { ...systemClock, sleep }
}

async function openBench(dataDir: string, options: { fails?: () => boolean; turns?: number } = {}) {
  const served: (readonly MetadataNetwork[])[] = []
  const metadata = {
    reconcile: async (networks: readonly MetadataNetwork[]) => {
      if (options.fails?.()) throw new Error("the switch is away")
      served.push(networks)
      return { changed: networks.length, removed: 0 }
    },
  }
  const clock = hurriedClock({ left: options.turns ?? 0 })
  const made = await openFakeAgent({ dataDir, plugged: new Set(), metadata, clock })
  opened.push(made)
  return { ...made, served }
}

test("a host serves what it was told last, also after a restart before anybody speaks", async () => {
  const dataDir = join(root, String(++count))
  const one = await openBench(dataDir)
  assert.equal((await one.agent.handle("host.describe", {})).abilities.metadata, true)
  const [a, b] = [network(), network()]
  const report = await one.agent.handle("host.serve_metadata", { networks: [a, b] })
  assert.deepEqual(report, { changed: 2, removed: 0 })
  await one.agent.handle("host.serve_metadata", { networks: [b] })
  // Nobody had told it anything when it began.
  assert.deepEqual(one.served, [[a, b], [b]])
  await one.agent.release()
  const two = await openBench(dataDir)
  await eventually("it to serve", () => two.served.length > 0)
  assert.deepEqual(two.served, [[b]])
})

test("what is lost on the host is brought back by itself; what fails is said and tried again", async () => {
  let isAway = true
  const { agent, served } = await openBench(join(root, String(++count)), {
    fails: () => isAway,
    turns: 100_000,
  })
  const networks = [network()]
  await assert.rejects(agent.handle("host.serve_metadata", { networks }), /switch is away/)
  isAway = false
  await eventually("it to be served again and again", () => served.length > 2)
  assert.deepEqual(served[0], networks)
})

test("a host without such a network says so and serves nothing", async () => {
  const made = await openFakeAgent({ dataDir: join(root, String(++count)), plugged: new Set() })
  opened.push(made)
  assert.equal((await made.agent.handle("host.describe", {})).abilities.metadata, false)
  const report = await made.agent.handle("host.serve_metadata", { networks: [network()] })
  assert.deepEqual(report, { changed: 0, removed: 0 })
})
