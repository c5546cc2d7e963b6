// What a host that shares nothing with the control plane is given: tickets for images, the networks whose guests it
// answers, and the metadata of its own guests only.
import assert from "node:assert/strict"
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { after, before, test } from "node:test"
import { sql } from "kysely"
import { agentMetadataFailed } from "../src/agent/faults.ts"
import {
  agentReportTopic,
  agentTopic,
  type HostDescription,
  type MetadataNetwork,
} from "../src/agent/protocol.ts"
import { exampleSpec } from "../src/agent/testing/example-spec.ts"
import { callAgent } from "../src/compute/agent-call.ts"
import { noteHosts } from "../src/compute/host/report.ts"
import { selectHosts } from "../src/compute/host/store.ts"
import { answerMetadataRequest, createMetadataLists, type MetadataRequest } from "../src/compute/index.ts"
import { seal } from "../src/identity/index.ts"
import { checkImageTicket, imageTicket, imageTicketRefused } from "../src/image/index.ts"
import { localImageStore } from "../src/local-image-store.ts"
import { eventually } from "../src/platform/clock/clock.ts"
import type { Platform } from "../src/platform/context/context.ts"
import { newUuid } from "../src/platform/ids/ids.ts"
import { type ServerCloud, startServerCloud } from "./server-cloud.ts"

let c: ServerCloud
let platform: Platform
/** What this host was told to serve, call by call. */
const told: (readonly MetadataNetwork[])[] = []
before(async () => {
  const reconcile = async (networks: readonly MetadataNetwork[]) => {
    told.push(networks)
    return { changed: networks.length, removed: 0 }
  }
  c = await startServerCloud({ metadata: { reconcile } })
  platform = c.cloud.cloud.platform
})
after(async () => await c[Symbol.asyncDispose]())

const never = new AbortController().signal
const idsOf = (networks: readonly MetadataNetwork[] | undefined) => networks?.map((n) => n.networkId)

function later(ms: number): Platform {
  const { clock } = platform
  const ahead = {
    ...clock,
    now: () => new Date(clock.now().getTime() + ms),
    monotonicMs: () => clock.monotonicMs() + ms,
  }
  return Object.assign(Object.create(platform) as Platform, { clock: ahead })
}

test("a ticket opens its image to its host for its use, and for a while", async () => {
  const { imageId } = c
  const store = localImageStore(platform)
  const right = { host: "host1", imageId, verb: "read" } as const
  const open = (ticket: string, id = imageId) => store.open(id, ticket, { offset: 0 })
  assert.ok("path" in (await open(imageTicket(platform, right, 1_000))))
  const wrong = [
    { ...right, host: "host2" },
    { ...right, imageId: newUuid() },
    { ...right, verb: "write" } as const,
  ].map((each) => imageTicket(platform, each, 1_000))
  const other = ["{}", "null", "no JSON"].map((text) => seal(platform, text))
  for (const ticket of [...wrong, ...other, "", "gAAAA", imageTicket(platform, right, -1)])
    await assert.rejects(open(ticket), imageTicketRefused.is)
  await assert.rejects(open(imageTicket(platform, right, 1_000), newUuid()), imageTicketRefused.is)
  const ticket = imageTicket(platform, right, 60_000)
  checkImageTicket(later(59_000), { ...right, ticket })
  assert.throws(() => checkImageTicket(later(61_000), { ...right, ticket }), imageTicketRefused.is)
  const path = join(c.cloud.dataDir, "file")
  await writeFile(path, "data")
  const signal = never
  await assert.rejects(store.store(imageId, ticket, path, { signal }), imageTicketRefused.is)
  await store.store(imageId, imageTicket(platform, { ...right, verb: "write" }, 1_000), path, { signal })
})

test("a command has tickets for the images that it is about, and no other command has any", async () => {
  const heard: Record<string, unknown>[] = []
  await using _agent = await platform.bus.serve(agentTopic("far"), async (_method, args) => {
    heard.push(args as Record<string, unknown>)
    return { power: "running", since: "", sizeBytes: 1 }
  })
  const fence = { generation: 1, fence: 1 }
  const spec = exampleSpec(newUuid())
  const [root] = spec.disks
  assert.ok(root)
  const source = { kind: "image" as const, imageId: "a", checksum: "0", diskFormat: "raw" }
  spec.disks = [
    { ...root, source },
    { ...root, name: "rescue", source: { ...source, imageId: "b" } },
  ]
  spec.kernelImage = { imageId: "k", checksum: "0" }
  await callAgent(platform, "far", "vm.ensure", { spec, power: "running", fence })
  const tickets = heard[0]?.tickets as Record<string, string>
  assert.deepEqual(Object.keys(tickets).sort(), ["a", "b", "k"])
  for (const [imageId, ticket] of Object.entries(tickets))
    checkImageTicket(platform, { ticket, host: "far", imageId, verb: "read" })
  const snapshot = { serverId: spec.serverId, imageId: "s", fence }
  for (const method of ["vm.upload_snapshot", "vm.snapshot", "vm.discard_snapshot"] as const)
    await callAgent(platform, "far", method, snapshot)
  const ticket = String(heard[1]?.ticket)
  checkImageTicket(platform, { ticket, host: "far", imageId: "s", verb: "write" })
  assert.deepEqual([heard[2]?.ticket, heard[3]?.ticket], [undefined, undefined])
})

/** A host that can answer guests; `answer` is what it makes of the command. */
async function addHost(name: string, answer: (networks: MetadataNetwork[]) => Promise<unknown>) {
  const described: HostDescription = await callAgent(platform, "host1", "host.describe", {})
  await noteHosts(platform, [{ name, description: { ...described, host: name } }])
  return await platform.bus.serve(agentTopic(name), async (method, args) => {
    assert.equal(method, "host.serve_metadata")
    return await answer((args as { networks: MetadataNetwork[] }).networks)
  })
}

test("each host is told its own networks when they change; one that is slow or broken holds up no other", async () => {
  const id = await c.create()
  const server = await c.reaches(id, "ACTIVE")
  const [nic] = (await c.call("GET", `/servers/${id}/os-interface`)).body.interfaceAttachments
  // Poked by the first guest: the timer would come much later.
  await eventually("this host to hear of its first guest's network", () => told.at(-1)?.length === 1)
  assert.deepEqual(idsOf(told.at(-1)), [nic.net_id])
  assert.ok((told.at(-1)?.[0]?.serviceIps.length ?? 0) > 0)

  const good: MetadataNetwork[][] = []
  let slow = Promise.withResolvers<void>()
  const slowTold: MetadataNetwork[][] = []
  const report = { changed: 1, removed: 0 }
  await using _good = await addHost("good", async (networks) => {
    good.push(networks)
    return report
  })
  await using _slow = await addHost("slow", async (networks) => {
    slowTold.push(networks)
    await slow.promise
    return report
  })
  const lists = createMetadataLists()
  const run = async (at = platform) => await lists.reconciler.run(at, never)
  const toldBefore = told.length
  assert.deepEqual(await run(), { hosts: 3, told: 3, changed: 2, removed: 0 })
  assert.deepEqual([good, slowTold, told.slice(toldBefore).map(idsOf)], [[[]], [[]], [[nic.net_id]]])
  const vif = { kind: "vif", networkId: nic.net_id } as const
  assert.deepEqual(
    ["host1", "good", "slow", "unheard", null].map((hostId) => lists.isNews({ ...vif, hostId })),
    [false, true, true, true, false],
  )
  assert.ok(lists.isNews({ kind: "metadata", networkId: nic.net_id, hostId: null }))

  assert.deepEqual(await run(), { hosts: 3, told: 0, changed: 0, removed: 0 })
  // The guest is somewhere else, and the slow host, still at its first list, hears of it as soon as it can.
  await moveGuest(id, "slow")
  assert.deepEqual(await run(), { hosts: 3, told: 1, changed: 0, removed: 0 })
  assert.deepEqual([idsOf(told.at(-1)), slowTold.length], [[], 1])
  slow.resolve()
  await eventually("the slow host to hear", () => slowTold.length === 2)
  assert.deepEqual(slowTold[1], told[toldBefore])
  await eventually("it to have heard", () => !lists.isNews({ ...vif, hostId: "slow" }))

  slow = Promise.withResolvers()
  slow.promise.catch(() => {})
  slow.reject(agentMetadataFailed("no proxy here"))
  await moveGuest(id, "good")
  await assert.rejects(run(), /slow: .*no proxy here/)
  assert.deepEqual(idsOf(good.at(-1)), [nic.net_id])
  slow = Promise.withResolvers()
  slow.resolve()
  assert.equal((await run()).told, 1, "who failed is asked again")
  assert.equal((await run()).told, 0)
  await moveGuest(id, "host1")
  assert.equal((await run()).told, 2)
  assert.equal((await run(later(11 * 60_000))).told, 3, "now and then all are told")
  await sql`update compute.host set is_forced_down = true where name = 'slow'`.execute(platform.db)
  assert.deepEqual([(await run()).hosts, slowTold.length > 0], [2, true])
  await sql`update compute.host set is_forced_down = false where name = 'slow'`.execute(platform.db)
  assert.equal((await run()).told, 1, "who is back is told anew")
  await sql`delete from compute.host where name in ('good', 'slow')`.execute(platform.db)
  assert.equal(server.status, "ACTIVE")
})

async function moveGuest(serverId: string, host: string): Promise<void> {
  await sql`update network.port set host_id = ${host} where server_id = ${serverId}`.execute(platform.db)
}

test("a host's proxy is answered for the guests of that host only", async () => {
  const id = await c.create({ name: "meta" })
  const { addresses } = await c.reaches(id, "ACTIVE")
  const [nic] = (await c.call("GET", `/servers/${id}/os-interface`)).body.interfaceAttachments
  const asked: MetadataRequest = {
    host: "host1",
    networkId: nic.net_id,
    address: addresses.private[0].addr,
    method: "GET",
    path: "/openstack/latest/meta_data.json",
    body: (async function* () {})(),
  }
  const ask = async (changes: Partial<MetadataRequest>) => {
    const { status, body } = await answerMetadataRequest(platform, { ...asked, ...changes })
    return [status, body.toString()] as const
  }
  for (const host of ["host1", null]) {
    const [status, text] = await ask({ host })
    assert.deepEqual([status, JSON.parse(text).uuid], [200, id])
  }
  const stranger = [404, "There is no server with this address.\n"]
  for (const changes of [{ host: "host2" }, { host: "" }, { address: "192.0.2.1" }, { networkId: newUuid() }])
    assert.deepEqual(await ask(changes), stranger)
  const password = { path: "/openstack/latest/password", method: "POST" }
  const words = (text: string) =>
    (async function* () {
      yield Buffer.from(text)
    })()
  assert.deepEqual(await ask({ ...password, host: "host2", body: words("stolen") }), stranger)
  assert.deepEqual(await ask({ ...password, body: words("mine") }), [200, ""])
  assert.deepEqual(await ask({ path: password.path }), [200, "mine"])
  assert.deepEqual(await ask({ path: password.path, host: "host2" }), stranger)
})

test("what the database refuses of one host keeps no other host's report from it", async () => {
  const described: HostDescription = await callAgent(platform, "host1", "host.describe", {})
  const say = async (host: string, hypervisorType: string) =>
    await platform.bus.publish(agentReportTopic, {
      ...{ kind: "alive", host, at: new Date().toISOString() },
      description: { ...described, host, hypervisorType },
    })
  const names = ["told-1", "told-2", "told-3", "told-4"]
  // No text of the database may have that character.
  await Promise.all(names.map((name) => say(name, name === "told-2" ? "\u0000" : "fake")))
  const known = async () =>
    (await selectHosts(platform.db)).map(({ name }) => name).filter((n) => names.includes(n))
  await eventually("the others", async () => (await known()).length === 3)
  assert.deepEqual((await known()).sort(), ["told-1", "told-3", "told-4"])
})
