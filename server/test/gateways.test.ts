// Which hosts carry the routers' gateways: `kumoi host gateway`.
import assert from "node:assert/strict"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, before, test } from "node:test"
import type { HostsNetwork } from "../src/hosts.ts"
import { answerHost, type HostAnswer } from "../src/launch/host-answer.ts"
import { askToJoin } from "../src/launch/joined/door-client.ts"
import { noteHostAgents } from "../src/network/index.ts"
import { makeKey, makeRequest } from "../src/platform/authority/authority.ts"
import { eventually } from "../src/platform/clock/clock.ts"
import { startTestCloud, type TestCloud } from "./cloud.ts"
import { freePort } from "./free-port.ts"

/** Both have joined; only one says that it has a bridge to the public network. */
const reached = new Map([
  ["host1", ["public"]],
  ["host2", ["other", "public"]],
  ["host3", []],
])
const hostsNetwork: HostsNetwork = {
  open: async () => {},
  physicalNetworks: async (host) => reached.get(host) ?? null,
  database: async () => {
    throw new Error("simulated")
  },
  southbound: async () => assert.fail("simulated hosts have no ovn-controller"),
  forget: async () => {},
  compare: async () => ({ addresses: [], ports: [] }),
  close: async () => {},
}

let cloud: TestCloud
const scratch = mkdtempSync(join(tmpdir(), "kumoi-gateways-"))

before(async () => {
  cloud = await startTestCloud({ hostsNetwork, overrides: { "hosts.port": await freePort() } })
  const { hosts } = cloud.cloud
  assert.ok(hosts)
  for (const [index, name] of ["host2", "host3", "host4"].entries()) {
    const address = `192.0.2.${index + 2}`
    const { url, token } = await hosts.token({ hostName: null, address, lastsMs: 60_000 })
    const key = join(scratch, `${name}.key`)
    await makeKey(key)
    await askToJoin(new URL(url), { name, address, token, request: await makeRequest(key) })
  }
})
after(async () => {
  await cloud?.[Symbol.asyncDispose]()
  rmSync(scratch, { recursive: true, force: true })
})

const gateway = async (host: string, isGateway: boolean, priority: number | null = null) =>
  await answerHost(cloud.cloud, { action: "gateway", host, isGateway, priority })
const engine = () => Object.fromEntries(cloud.network.gateways.map((each) => [each.chassis, each.priority]))
const listed = async () => {
  const answer = (await answerHost(cloud.cloud, { action: "list" })) as Extract<
    HostAnswer,
    { cloudHosts: unknown }
  >
  return Object.fromEntries(answer.cloudHosts.map(({ name, gatewayPriority }) => [name, gatewayPriority]))
}

test("the first host alone is the gateway until something is said", async () => {
  assert.deepEqual(engine(), { host1: 2 })
  assert.deepEqual(await listed(), { host1: 2, host2: null, host3: null, host4: null })
  await assert.rejects(gateway("host1", false), { code: "network.gateway.only_one" })
})

test("another host stands by, takes over when it is given more, and shares when it has as much", async () => {
  assert.deepEqual(await gateway("host2", true), { done: "Gateways: host1; if lost: host2." })
  assert.deepEqual(engine(), { host1: 2, host2: 1 })
  assert.deepEqual(await gateway("host2", true, 3), { done: "Gateways: host2; if lost: host1." })
  assert.deepEqual(engine(), { host1: 2, host2: 3 })
  assert.deepEqual(await gateway("host2", true, 2), { done: "Gateways: host1, host2." })
  assert.deepEqual(await listed(), { host1: 2, host2: 2, host3: null, host4: null })
  const token = await cloud.token()
  const { body } = await cloud.request("GET", "/network/v2.0/agents?host=host1", { token })
  assert.match(body.agents[0].agent_type, /Gateway/)
})

test("a host without a way out, or that there is not, is refused with the reason", async () => {
  await assert.rejects(gateway("host3", true), { code: "network.gateway.no_way_out", message: /for public/ })
  await assert.rejects(gateway("host4", true), { code: "network.gateway.no_way_out" })
  await assert.rejects(gateway("host9", true), { code: "host.member.not_found" })
  assert.deepEqual(engine(), { host1: 2, host2: 2 })
})

test("a gateway that says that it has lost its way out is none, until it has one again", async () => {
  const { platform } = cloud.cloud
  const says = (bridgeMappings: Record<string, string>) =>
    noteHostAgents(platform, "host2", { problem: null, bridgeMappings })
  await says({ public: "br-public", dc: "br-dc" })
  assert.deepEqual(engine(), { host1: 2, host2: 2 })
  await says({ dc: "br-dc" })
  assert.deepEqual(engine(), { host1: 2 })
  assert.deepEqual((await listed()).host2, 2, "it is to be one")
  await gateway("host1", false)
  assert.deepEqual(engine(), { host2: 2 }, "there is no better one")
  await says({ public: "br-public" })
  await gateway("host1", true)
  assert.deepEqual(engine(), { host1: 2, host2: 2 })
})

test("what was said holds over a restart", async () => {
  await gateway("host1", false)
  assert.deepEqual(engine(), { host2: 2 })
  await cloud.stop()
  const again = await startTestCloud({ continueFrom: cloud, hostsNetwork })
  cloud = again
  await eventually("the engine to be told", () => "host2" in engine())
  assert.deepEqual(engine(), { host2: 2 })
})

test("when the last other one is removed, the first host is it again", async () => {
  await cloud.cloud.hosts?.remove("host2")
  assert.deepEqual(engine(), { host1: 2 })
  assert.deepEqual(await listed(), { host1: 2, host3: null, host4: null })
})
