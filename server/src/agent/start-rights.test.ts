// What ran before the host was off starts again only once the cloud has said that it is still this host's.
import assert from "node:assert/strict"
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, afterEach, test } from "node:test"
import { eventually } from "../platform/clock/clock.ts"
import { Fault } from "../platform/fault/fault.ts"
import { agentDirectories } from "./machine-store.ts"
import type { Fence, PowerState, StartRights, StartRightsAsked } from "./protocol.ts"
import { exampleSpec } from "./testing/example-spec.ts"
import { type FakeAgent, openFakeAgent } from "./testing/fake-agent.ts"

const root = mkdtempSync(join(tmpdir(), "kumoi-start-rights-"))
after(() => rmSync(root, { recursive: true }))
const opened: FakeAgent[] = []
afterEach(async () => {
  for (const { agent } of opened.splice(0)) await agent.release()
})

const fence: Fence = { generation: 1, fence: 1 }
let count = 0

/** A host on which these machines run. */
async function hostWith(machines: number) {
  const bench = { dataDir: join(root, String(++count)), plugged: new Set<string>() }
  const specs = Array.from({ length: machines }, () => exampleSpec(crypto.randomUUID()))
  const made = await openFakeAgent(bench)
  for (const spec of specs) await made.agent.handle("vm.ensure", { spec, power: "running", fence })
  return { bench, made, ids: specs.map(({ serverId }) => serverId) }
}

/** A cloud that says what it is told to say; null: it does not answer. */
class Cloud {
  answer: ((serverIds: readonly string[]) => StartRights) | null = null
  readonly asked: (readonly string[])[] = []

  readonly of = async ({ serverIds }: StartRightsAsked): Promise<StartRights> => {
    this.asked.push(serverIds)
    if (!this.answer) throw new Fault("unavailable", "bus.no_server", "nobody is there")
    return this.answer(serverIds)
  }
}

async function openWith(options: Parameters<typeof openFakeAgent>[0]): Promise<FakeAgent> {
  const made = await openFakeAgent(options)
  opened.push(made)
  return made
}

async function powersOf({ agent }: FakeAgent, ids: readonly string[]): Promise<(PowerState | undefined)[]> {
  const list = await agent.handle("vm.list", {})
  return ids.map((id) => list.find(({ serverId }) => serverId === id)?.state.power)
}

const arePowers = (host: FakeAgent, ids: readonly string[], wanted: readonly PowerState[]) =>
  eventually(`${wanted}`, async () => String(await powersOf(host, ids)) === String(wanted))

const nothingWaits = ({ dataDir }: { dataDir: string }) =>
  eventually("nothing to wait", () => !existsSync(agentDirectories(dataDir).resumeMarker))

test("nothing starts while the cloud is away, also not after another start of the agent; then what is ours does", async () => {
  const { bench, made, ids } = await hostWith(3)
  await made.agent.release()
  made.fake.losePower()
  const cloud = new Cloud()
  const two = await openWith({ ...bench, bootId: "boot-2", startRights: cloud })
  await eventually("it to ask", () => cloud.asked.length === 1)
  assert.deepEqual(cloud.asked[0]?.toSorted(), ids.toSorted())
  assert.deepEqual(await powersOf(two, ids), ["crashed", "crashed", "crashed"])
  await two.agent.release()
  const three = await openWith({ ...bench, bootId: "boot-2", startRights: cloud })
  await eventually("it to ask again", () => cloud.asked.length === 2)
  const [ours = "", left = "", later = ""] = ids
  cloud.answer = () => ({ start: [ours], leave: [left] })
  // As when the host is connected to its cloud.
  three.agent.sayAlive()
  await arePowers(three, ids, ["running", "crashed", "crashed"])
  assert.deepEqual(three.told(left), [])
  cloud.answer = (asked) => ({ start: asked, leave: [] })
  three.agent.sayAlive()
  await arePowers(three, ids, ["running", "crashed", "running"])
  assert.deepEqual(cloud.asked.at(-1), [later], "it asks for the others no more")
  await three.agent.release()
  // What has left is not asked for by the next start either.
  const asked = cloud.asked.length
  const four = await openWith({ ...bench, bootId: "boot-2", startRights: cloud })
  await arePowers(four, ids, ["running", "crashed", "running"])
  assert.equal(cloud.asked.length, asked)
})

test("what was switched off with its host asks too, and a host that stops while it waits keeps it for the next start", async () => {
  const { bench, made, ids } = await hostWith(2)
  await made.agent.stopForShutdown({ graceMs: 0 })
  const cloud = new Cloud()
  const two = await openWith({ ...bench, startRights: cloud })
  await eventually("it to ask", () => cloud.asked.length === 1)
  await two.agent.stopForShutdown({ graceMs: 0 })
  cloud.answer = (asked) => ({ start: asked, leave: [] })
  const three = await openWith({ ...bench, startRights: cloud })
  await arePowers(three, ids, ["running", "running"])
})

test("before each further try it is asked anew: the server may have left since", async () => {
  const { bench, made, ids } = await hostWith(1)
  await made.agent.stopForShutdown({ graceMs: 0 })
  const cloud = new Cloud()
  cloud.answer = (asked) =>
    cloud.asked.length === 1 ? { start: asked, leave: [] } : { start: [], leave: asked }
  const fail = { operation: "ensure", at: 1, times: 1 }
  const two = await openWith({ ...bench, startRights: cloud, resumePausesMs: [10, 10], fail })
  await nothingWaits(bench)
  assert.equal(cloud.asked.length, 2)
  assert.deepEqual(await powersOf(two, ids), ["shutdown"])
})

test("a command that comes while it waits is done, and the cloud's later word changes nothing of it", async () => {
  const { bench, made, ids } = await hostWith(2)
  await made.agent.stopForShutdown({ graceMs: 0 })
  const cloud = new Cloud()
  const two = await openWith({ ...bench, startRights: cloud })
  const [destroyed = "", stopped = ""] = ids
  await two.agent.handle("vm.destroy", { serverId: destroyed, fence: { generation: 4, fence: 0 } })
  await two.agent.handle("vm.stop", { serverId: stopped, graceMs: 0, fence })
  cloud.answer = (asked) => ({ start: asked, leave: [] })
  two.agent.sayAlive()
  await nothingWaits(bench)
  assert.deepEqual(await powersOf(two, ids), [undefined, "shutdown"])
  // Who was the owner before that is refused.
  const spec = exampleSpec(destroyed)
  const late = two.agent.handle("vm.ensure", { spec, power: "running", fence })
  await assert.rejects(late, { code: "agent.fence.stale" })
})
